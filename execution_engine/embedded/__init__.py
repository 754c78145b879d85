"""What makes one machine enough: mongod, and small Auth2, Workspace and Catalog services."""
