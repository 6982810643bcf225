"""What stands in for Google Cloud on this machine: a ledger of what there is, and GKE clusters on local control planes.

The plug-in `local/standins/plugins/google/provider.py` brings the engine's wishes; `python -m local.standins.cloud` is
for what a person does by hand in the console. Everything is in the folder of the ledger, and nothing of it is billed.
"""
