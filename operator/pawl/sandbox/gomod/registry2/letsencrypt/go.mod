// Stands in for rsc.io/letsencrypt, which the registry imports and whose last version with code cannot be had any more.
module rsc.io/letsencrypt

go 1.26.0
