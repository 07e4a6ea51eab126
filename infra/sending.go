package infra

import (
	"tenure/core/secrets/kms"
	"tenure/core/sending"
	"tenure/core/sending/ses"
)

// ofSending are the partitions of the domains that mail is sent from (see
// core/sending).
var ofSending = []string{"*/sending", "~domains/*"}

// sendingStatements returns what the function may do that sets up the domains mail
// is sent from: have Amazon SES know them, and seal their keys. Identities that the
// deployment did not make are looked at and no more.
func sendingStatements() []object {
	identities := sub("arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*")
	return []object{
		// Not all of SES's actions that create have a resource to name.
		allow([]string{"ses:CreateEmailIdentity", "ses:TagResource"}, "*",
			object{"StringEquals": object{"aws:RequestTag/" + ses.Tag: ref("Deployment")}}),
		allow([]string{"ses:GetEmailIdentity"}, identities, nil),
		allow([]string{"ses:DeleteEmailIdentity", "ses:PutEmailIdentityDkimSigningAttributes", "ses:PutEmailIdentityMailFromAttributes"}, identities,
			object{"StringEquals": object{"aws:ResourceTag/" + ses.Tag: ref("Deployment")}}),
		sealing(sending.KeyPurpose),
	}
}

// sealing returns the statement that lets a function seal and open secrets of some
// purposes (see core/secrets), of any workspace, by the key of the deployment.
func sealing(purposes ...string) object {
	return withSecrets([]string{"kms:Decrypt", "kms:Encrypt"}, purposes)
}

// opening is sealing for a function that only opens what others have sealed.
func opening(purposes ...string) object { return withSecrets([]string{"kms:Decrypt"}, purposes) }

func withSecrets(actions, purposes []string) object {
	return allow(actions, ref("KeyArn"), object{
		"StringEquals": object{"kms:EncryptionContext:" + kms.PurposeContext: purposes},
		"Null":         object{"kms:EncryptionContext:" + kms.WorkspaceContext: "false"},
	})
}
