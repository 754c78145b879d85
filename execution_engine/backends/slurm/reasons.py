"""Why a job waits in Slurm: its reasons in plain words, and which of them mean that somebody must intervene."""

import re

_NO_NODES = "The nodes that it needs are down, drained, or reserved for more urgent jobs."
# By Slurm's word.
_WAITS = {
    "None": "Slurm has not looked at the job yet.",
    "Priority": "Jobs with a higher priority are ahead of it.",
    "Resources": "It is next, and waits until enough CPUs and memory are free.",
    "Dependency": "It waits for another job to end.",
    "BeginTime": "Its start time has not come yet.",
    "Prolog": "Its nodes are being prepared.",
    "Cleaning": "What an earlier run of it left is being cleaned up.",
    "Licenses": "It waits for a licence.",
    "NodeDown": "A node that it needs is down.",
    "ReqNodeNotAvail": _NO_NODES,
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": _NO_NODES,
    "PartitionDown": "Its partition starts no jobs now.",
    "PartitionInactive": "Its partition is closed now.",
    "Reservation": "It waits for its reservation to begin.",
    "ReservationDeleted": "Its reservation was deleted.",
    "FrontEndDown": "The front end that it needs is down.",
    "JobArrayTaskLimit": "As many tasks of its array run as may at once.",
    "MaxJobsPerAccount": "Its Slurm account runs as many jobs as it may.",
    "SchedDefer": "Slurm starts jobs only in its regular rounds now.",
    "Burst buffer operation": "Its burst buffer is being prepared.",
    "QOSGrpCpuLimit": "All jobs of its QOS together use as many CPUs as they may.",
    "QOSGrpMemLimit": "All jobs of its QOS together use as much memory as they may.",
    "QOSGrpJobsLimit": "As many jobs of its QOS run as may at once.",
    "QOSGrpNodeLimit": "All jobs of its QOS together use as many nodes as they may.",
    "QOSMaxCpuPerUserLimit": "The engine's account uses as many CPUs as this QOS allows.",
    "QOSMaxMemoryPerUser": "The engine's account uses as much memory as this QOS allows.",
    "QOSMaxJobsPerUserLimit": "The engine's account runs as many jobs as this QOS allows.",
    "QOSMaxNodePerUserLimit": "The engine's account uses as many nodes as this QOS allows.",
    "QOSUsageThreshold": "Its Slurm account has used up what this QOS allows.",
    "AssocGrpCpuLimit": "Its Slurm account uses as many CPUs as it may.",
    "AssocGrpMemLimit": "Its Slurm account uses as much memory as it may.",
    "AssocGrpJobsLimit": "Its Slurm account runs as many jobs as it may.",
    "AssocGrpNodeLimit": "Its Slurm account uses as many nodes as it may.",
    "AssocGrpCPUMinutesLimit": "Its Slurm account has used up its CPU time.",
    "AssocGrpCPURunMinutesLimit": "The running jobs of its Slurm account may use no more CPU time.",
    "AssocGrpBillingMinutes": "Its Slurm account has used up its budget.",
    "AssocMaxJobsLimit": "The engine's account runs as many jobs as it may.",
    "AssociationJobLimit": "Its Slurm account runs as many jobs as it may.",
    "AssociationResourceLimit": "Its Slurm account uses as much as it may.",
}
_HOLDS = {
    "JobHeldUser": "Somebody holds it in Slurm (scontrol release lets it go).",
    "JobHeldAdmin": "An administrator of Slurm holds it.",
    "JobHoldMaxRequeue": "Slurm put it back too often and holds it now.",
    "DependencyNeverSatisfied": "It waits for a job that can't end as it should.",
    "BadConstraints": "No node of the cluster is as it asks.",
    "PartitionConfig": "Its partition is not made for a job like this.",
    "PartitionNodeLimit": "It asks for more nodes than its partition allows.",
    "PartitionTimeLimit": "It asks for more time than its partition allows.",
    "AccountNotAllowed": "Its Slurm account may not use this partition.",
    "QOSNotAllowed": "Its QOS may not use this partition.",
    "InvalidAccount": "Its Slurm account does not exist or may not be used.",
    "InvalidQOS": "Its QOS does not exist or may not be used.",
    "AccountingPolicy": "Slurm's accounting does not allow it.",
    "QOSJobLimit": "It asks for more than its QOS allows.",
    "QOSResourceLimit": "It asks for more than its QOS allows.",
    "QOSTimeLimit": "It asks for more time than its QOS allows.",
    "AssociationTimeLimit": "It asks for more time than its Slurm account allows.",
    "launch failed requeued held": "A node could not start it; Slurm put it back and holds it.",
    "launch_failed_requeued_held": "A node could not start it; Slurm put it back and holds it.",
    "job requeued in held state": "It was put back and is held.",
    "JobLaunchFailure": "A node could not start it.",
    "SystemFailure": "Slurm, or a node of it, failed.",
}
LAUNCH_FAILURES = frozenset({"launch failed requeued held", "launch_failed_requeued_held", "JobLaunchFailure"})
_PER_JOB_LIMIT = re.compile(
    r"(QOS|Assoc)Max\w*Per(Job|Node)\w*|(QOS|Assoc)MaxWallDuration\w*|QOSMin\w*|AssocMaxCpuPerJob\w*"
)


def held(reason: str) -> bool:
    """Whether a job that waits for this reason waits until somebody does something about it."""
    return reason in _HOLDS or _PER_JOB_LIMIT.fullmatch(reason) is not None


def in_words(reason: str) -> str:
    """The reason for people; Slurm's own word where there is no better one."""
    bare = reason.strip().strip("()")
    known = _WAITS.get(bare) or _HOLDS.get(bare) or _WAITS.get(bare.partition(",")[0])
    if known:
        return known
    if _PER_JOB_LIMIT.fullmatch(bare):
        return f"It asks for more than Slurm's limits allow ({bare})."
    return f"Slurm says: {bare}." if bare else "Slurm gives no reason."
