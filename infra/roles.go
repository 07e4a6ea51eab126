package infra

import (
	"encoding/json"
	"slices"

	"tenure/core/accounts"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/subscriptions"
)

// Grant is what a function may do with the table: patterns of the partition
// keys that it may read and write, where * stands for any text. Partition keys
// begin with the name of a workspace, which is never written in a role.
type Grant struct{ Read, Write []string }

// The partitions that belong to no workspace (see core/access).
const (
	keysPartitions      = "~keys/*"
	locksPartitions     = "~locks/*"
	workspacesPartition = "~workspaces"
)

// keyLists are the partitions of what workspaces know of their keys.
const keyLists = "*/keys"

// ofFamily returns the partitions of a family's records: the records, their
// indexes, what is kept beside them, the pointers that lead to them (see
// core/resource).
func ofFamily(f *resource.Family) []string {
	name := f.Schema.Name
	return []string{"*/" + name + "/*", "*/" + name + ".*/*"}
}

// marks returns the partitions of the bookmarks of a family's lists.
func marks(f *resource.Family) string { return "*/bookmarks/" + f.Schema.Name }

// unfinished are the partitions of writes that take more than one request, and
// of what tells whether lists have changed.
var unfinished = []string{"*/jobs", "*/journal/*", "*/lists"}

// callsPartitions are the partitions of the log of API calls.
const callsPartitions = "*/calls/*"

// derived are the partitions of what the rollup keeps about accounts.
var derived = []string{"*/derived/*", "*/wake/*"}

// The partitions of the health of accounts (see core/health), and of when it is to be
// assessed.
const (
	healthPartitions = "*/health/*"
	healthOfAccounts = "*/health/account/*"
	healthSettings   = "*/health/settings"
	assessments      = "*/assess/*"
)

// consoleFunction is the name of the function that serves the pages for people.
const consoleFunction = "console"

// apiFunctions returns the names of the functions that serve the API.
func apiFunctions() []string { return api.Functions(catalog.All()) }

// Functions returns the names of all functions: those behind the gateways, then
// the one that works on uploads, the one that runs sources, those that follow the
// stream and the clock.
func Functions() []string {
	return append(apiFunctions(), consoleFunction, api.EventsFunction, uploadsFunction, syncFunction, "rollup", usageFunction, "clock")
}

// ofPeople are the partitions of who may sign in to the console and of what they
// changed there (see core/identity).
var ofPeople = []string{"~people/*", "~links/*", "~attempts/*", "*/people", "*/people.changes", "*/invitations", "*/audit/*"}

// Grants returns what a function may do with the table.
func Grants(function string) Grant {
	g := Grant{}
	switch function {
	case "rollup", "clock":
		g.Write = slices.Concat(unfinished, derived, []string{assessments}, ofFamily(catalog.Root), ofFamily(subscriptions.Family), ofFamily(subscriptions.Movements))
		if function == "clock" {
			g.Read = []string{workspacesPartition, keyLists, eventsPartitions}
			g.Write = append(append(g.Write, callsPartitions, healthPartitions), counted...)
			for _, f := range catalog.All() { // it ends what their uploads have left half done
				g.Write = append(g.Write, ofFamily(f)...)
			}
		}
	case api.EventsFunction, usageFunction:
		// They complete what they meet half done, as every read does.
		g.Write = slices.Concat(unfinished, ofFamily(people.Users))
		if function == usageFunction {
			g.Read = ofFamily(catalog.Root)
			g.Write = append(append(g.Write, assessments), counted...)
			break
		}
		g.Read = []string{keysPartitions, usageSettings}
		g.Write = append(append(g.Write, eventsPartitions, callsPartitions), ofFamily(catalog.Root)...)
	case consoleFunction:
		// Pages show what all families hold, and complete what they meet half done.
		g.Write = slices.Concat(ofPeople, ofSending, unfinished, []string{keysPartitions, workspacesPartition, keyLists, "*/overview", uploadsPartitions, locksPartitions, moneyPartitions, usageSettings, healthSettings}, ofSources)
		g.Read = []string{callsPartitions, batchesPartitions, appsPartition, usagePartitions, healthPartitions}
		for _, f := range append(catalog.All(), subscriptions.Movements) {
			g.Write = append(append(g.Write, ofFamily(f)...), marks(f))
		}
	case uploadsFunction, syncFunction:
		// They write what the functions of all families may.
		g.Write = slices.Concat(unfinished, []string{locksPartitions})
		if function == syncFunction {
			g.Read = []string{workspacesPartition, moneyPartitions, appsPartition}
			g.Write = append(g.Write, ofSources...)
		} else {
			g.Write = append(g.Write, callsPartitions, uploadsPartitions, batchesPartitions)
		}
		for _, f := range catalog.All() {
			g.Write = append(append(g.Write, ofFamily(f)...), "*/ids")
		}
	case "search":
		g.Read = []string{keysPartitions}
		// It completes what it meets half done, as every read does.
		g.Write = append(append(g.Write, callsPartitions), unfinished...)
		for _, f := range []*resource.Family{accounts.Family, people.Users, people.Contacts} {
			g.Write = append(append(g.Write, ofFamily(f)...), marks(f))
		}
	default:
		g.Read = append([]string{keysPartitions}, ofFamily(catalog.Root)...)
		g.Write = append([]string{locksPartitions, callsPartitions}, unfinished...)
		for _, f := range catalog.All() {
			if f.Schema.Name != function {
				continue
			}
			g.Write = append(append(g.Write, ofFamily(f)...), marks(f))
			if f.Generated != nil {
				g.Write = append(g.Write, "*/ids")
			}
		}
		switch function {
		case accounts.Family.Schema.Name:
			g.Read = append(g.Read, accountsUsage, workspacesUsage, healthOfAccounts)
		case people.Users.Schema.Name:
			g.Read = append(g.Read, usersUsage)
		case subscriptions.Family.Schema.Name:
			g.Read = append(g.Read, ofFamily(subscriptions.Movements)...)
			g.Write = append(g.Write, marks(subscriptions.Movements))
		}
	}
	slices.Sort(g.Write)
	g.Write = slices.Compact(g.Write)
	g.Read = slices.DeleteFunc(g.Read, func(p string) bool { return slices.Contains(g.Write, p) })
	slices.Sort(g.Read)
	g.Read = slices.Compact(g.Read)
	return g
}

func sub(text string) object { return object{"Fn::Sub": text} }

func ref(name string) object { return object{"Ref": name} }

func attribute(resource, name string) object { return object{"Fn::GetAtt": []string{resource, name}} }

// allow returns a statement of a policy.
func allow(actions []string, resources any, condition object) object {
	s := object{"Effect": "Allow", "Action": actions, "Resource": resources}
	if condition != nil {
		s["Condition"] = condition
	}
	return s
}

// within restricts requests to the table to partitions.
func within(patterns []string) object {
	return object{"ForAllValues:StringLike": object{"dynamodb:LeadingKeys": patterns}}
}

// Roles returns the template of the functions' roles and the groups of their
// logs.
func Roles() ([]byte, error) {
	resources, outputs := object{}, object{}
	for _, function := range Functions() {
		id, g := LogicalID(function), Grants(function)
		group := id + "Logs"
		resources[group] = object{
			"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete",
			"Properties": object{
				"LogGroupName": sub("/aws/lambda/${Deployment}-" + function), "RetentionInDays": ref("LogRetentionDays"), "KmsKeyId": ref("KeyArn"),
			},
		}
		table := []any{ref("TableArn"), sub("${TableArn}/index/*")}
		statements := []object{
			allow([]string{"logs:CreateLogStream", "logs:PutLogEvents"}, sub("${"+group+".Arn}"), nil),
			allow([]string{"dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query"}, table,
				within(slices.Concat(g.Read, g.Write))),
			allow([]string{"dynamodb:DeleteItem", "dynamodb:PutItem"}, ref("TableArn"), within(g.Write)),
			// DynamoDB encrypts with the deployment's own key, on behalf of its caller.
			allow([]string{"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"}, ref("KeyArn"),
				object{"StringEquals": object{"kms:ViaService": sub("dynamodb.${AWS::Region}.amazonaws.com")}}),
			// X-Ray has no resources to name.
			allow([]string{"xray:PutTraceSegments", "xray:PutTelemetryRecords"}, "*", nil),
		}
		if function == "rollup" || function == usageFunction {
			statements = append(statements,
				allow([]string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}, ref("StreamArn"), nil),
				allow([]string{"dynamodb:ListStreams"}, "*", nil),
				allow([]string{"sqs:SendMessage"}, ref("DeadLettersArn"), nil))
		}
		if function == consoleFunction {
			statements = append(statements, sendingStatements()...)
		}
		if function == consoleFunction || function == uploadsFunction {
			statements = append(statements, uploadsStatements(function)...)
		}
		if function == consoleFunction || function == syncFunction {
			statements = append(statements, sourcesStatements(function)...)
		}
		resources[id+"Role"] = object{
			"Type": "AWS::IAM::Role",
			"Properties": object{
				"AssumeRolePolicyDocument": object{"Version": "2012-10-17", "Statement": []object{{
					"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"Service": "lambda.amazonaws.com"},
				}}},
				"Policies": []object{{
					"PolicyName": "function", "PolicyDocument": object{"Version": "2012-10-17", "Statement": statements},
				}},
			},
		}
		outputs[id] = object{"Value": attribute(id+"Role", "Arn")}
	}
	return render(object{"Description": "The functions' roles and logs. " + generated, "Parameters": object{
		"Deployment": parameter("Name of the deployment"),
		"TableArn":   parameter("ARN of the table"), "StreamArn": parameter("ARN of its stream"),
		"DeadLettersArn":   parameter("ARN of the queue of changes that could not be read"),
		"KeyArn":           parameter("ARN of the key that encrypts table, files and logs"),
		"UploadsBucketArn": parameter("ARN of the bucket of uploaded files"), "UploadsQueueArn": parameter("ARN of the queue of the work on them"),
		"SourcesQueueArn":  parameter("ARN of the queue of the runs of sources"),
		"LogRetentionDays": object{"Type": "Number", "Description": "How long logs are kept"},
	}, "Resources": resources, "Outputs": outputs})
}

// generated is what templates say that follow from the code.
const generated = "Generated from the code: UPDATE=1 go test ./infra"

// render returns the text of a CloudFormation template.
func render(template object) ([]byte, error) {
	template["AWSTemplateFormatVersion"] = "2010-09-09"
	text, err := json.MarshalIndent(template, "", " ")
	return append(text, '\n'), err
}

// parameter declares a parameter of a template.
func parameter(doc string) object { return object{"Type": "String", "Description": doc} }
