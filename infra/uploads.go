package infra

// uploadsFunction is the name of the function that checks and applies the files
// that people upload.
const uploadsFunction = "uploads"

// The partitions of uploads, and of what became of their batches (see core/uploads).
const (
	uploadsPartitions = "*/uploads"
	batchesPartitions = "*/uploads/*"
)

// work is what a function may do with a queue that calls it.
var work = []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}

// uploadsStatements returns what a function may do with the files of uploads, of
// any workspace, and with the queue of the work on them. The console takes files
// in, by forms that browsers send on the strength of its role, and hands out those
// of rejected rows; the function that works on them writes the latter.
func uploadsStatements(function string) []object {
	written := "source"
	if function == uploadsFunction {
		written = "rejected"
	}
	statements := []object{
		allow([]string{"s3:GetObject"}, sub("${UploadsBucketArn}/*/uploads/*"), nil),
		// Without it a file that is not there looks as if it were forbidden.
		allow([]string{"s3:ListBucket"}, ref("UploadsBucketArn"), nil),
		allow([]string{"s3:AbortMultipartUpload", "s3:PutObject"}, sub("${UploadsBucketArn}/*/uploads/*/"+written+"/*"), nil),
		allow([]string{"s3:DeleteObject"}, sub("${UploadsBucketArn}/*/uploads/*/source/*"), nil),
		// S3 encrypts with the deployment's own key, on behalf of its caller.
		allow([]string{"kms:Decrypt", "kms:GenerateDataKey"}, ref("KeyArn"),
			object{"StringEquals": object{"kms:ViaService": sub("s3.${AWS::Region}.amazonaws.com")}}),
		allow([]string{"sqs:SendMessage"}, ref("UploadsQueueArn"), nil),
	}
	if function == uploadsFunction {
		statements = append(statements,
			allow(work, ref("UploadsQueueArn"), nil))
	}
	return statements
}
