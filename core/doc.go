// Package core is the root of everything Tenure's functions share. It holds
// only what every layer may speak of: the words in which a request is refused.
//
// The packages below it, in four groups; dependencies point from the bottom
// of this list to its top, and imports_test.go holds them to it:
//
// The domain. accounts, people (product users and contacts), metrics,
// subscriptions, statements, tickets and conversations (interactions and notes)
// declare the resource families and their merge rules; nps computes scores;
// revenue keeps the histories of subscriptions and computes MRR, its movements
// and renewal dates; usage counts what users do in the product; health says how
// an account is doing, and why; rollup keeps what is derived from them up to date; overview
// counts what a workspace's first page shows; search
// reads the conditions of searches; catalog lists the families; schema turns a
// declaration into decoding, validation, merging, rendering and the API
// description; resource is the one engine that lists, reads, upserts, modifies
// and removes records of any family (resource/resourcetest: what its tests share).
// sending knows the domain and the key that a workspace's mail is sent with
// (sending/ses: how Amazon SES comes to know them; sending/dnstest: a DNS server
// for tests).
//
// The ports. table is the storage port, with its adapters table/dynamo
// (DynamoDB) and table/embedded (one machine) and their contract table/tabletest.
// secrets seals what only its owner may know, by keys of secrets/keyfile (one
// machine) or secrets/kms (AWS); their contract is secrets/secretstest. files is
// the store of files, in a directory (files/directory, one machine) or a bucket
// (files/s3, AWS); their contract is files/filestest.
//
// Integrations. mapping is the language in which it is said how another system's
// records are read and become ours. connector is the vocabulary in which another
// system's API is declared, and the machinery that reads it
// (connector/connectortest: the suite that reads every connector, and what
// stand-ins for systems are made of; connector/oauthtest: an OAuth 2.0 server for
// tests); connectors are the declarations (connectors/standins: the stand-ins).
// sources keeps the records of a workspace in step with its systems: which they
// are, how their records find their accounts, and what came of each run. matching
// proposes which accounts another system's are, by their names.
//
// The plumbing. access knows workspaces, API keys and the upload lock; identity
// knows people, their roles and sessions, and what they changed; calls keeps the
// log of API calls; csvfile reads and writes the families' CSV files, and uploads
// checks and applies them; api is the HTTP face of the families; console is the
// pages for people; config reads the environment.
package core
