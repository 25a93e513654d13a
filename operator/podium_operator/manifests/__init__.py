"""The children of a ModelDeployment, one file per kind of object. Pure: values in, manifest out, no client and no clock."""
