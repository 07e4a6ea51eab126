package infra

import "tenure/core/sources"

// syncFunction is the name of the function that runs the sources.
const syncFunction = "sync"

// ofSources are the partitions of sources, of their credentials, runs and reports,
// and of what is remembered of their records (see core/sources).
var ofSources = []string{"*/sources", "*/sources/*"}

// moneyPartitions are where it stands what amounts of a workspace are in.
const moneyPartitions = "*/money"

// appsPartition is where the OAuth apps of the deployment are, which the operator
// stores.
const appsPartition = sources.AppsPartition

// sourcesStatements returns what a function may do with the queue of the runs of
// sources, and with their credentials: the console asks for runs, and sync makes
// them.
func sourcesStatements(function string) []object {
	statements := []object{
		allow([]string{"sqs:SendMessage"}, ref("SourcesQueueArn"), nil),
		sealing(sources.CredentialsPurpose),
		opening(sources.AppPurpose),
	}
	if function == syncFunction {
		statements = append(statements, allow(work, ref("SourcesQueueArn"), nil))
	}
	return statements
}
