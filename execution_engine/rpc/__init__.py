"""The wire: JSON-RPC, voices, the contract's language; knows no job."""
