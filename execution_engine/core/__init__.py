"""Ids, states, transitions, errors, causes, time: what everything else speaks in; imports nothing of ours."""
