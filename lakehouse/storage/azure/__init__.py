"""Azure storage: the one owner of azure-identity and adlfs; loaded only where a lake is on Azure."""
