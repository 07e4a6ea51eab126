// Package core is the root of everything Tenure's functions share. It holds
// only what every layer may speak of: the words in which a request is refused.
//
// The packages below it, in three groups; dependencies point from the bottom
// of this list to its top, and imports_test.go holds them to it:
//
// The domain. accounts and people declare the resource families and their
// merge rules; nps computes scores; revenue keeps the histories of subscriptions
// and computes MRR, its movements and renewal dates; catalog lists the families;
// schema turns a declaration into decoding, validation, merging, rendering and
// the API description; resource is the one engine that lists, reads, upserts,
// modifies and deletes records of any family.
//
// The ports. table is the storage port, with its adapters table/dynamo
// (DynamoDB) and table/embedded (one machine) and their contract table/tabletest.
//
// The plumbing. access knows workspaces, API keys and the upload lock; api
// is the HTTP face of the families; config reads the environment.
package core
