package dynamo

// Shards is how many partitions carry a list of a whole workspace. DynamoDB
// gives one partition 1,000 writes a second of 1 KB, so this many let one
// workspace load 16,000 records a second before it is throttled. The number is
// part of the keys of stored data: it must not change under them.
const Shards = 16
