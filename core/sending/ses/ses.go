// Package ses has Amazon SES know the domains of core/sending: each is an identity
// of the AWS account that signs with the domain's own key (BYODKIM). An account may
// have identities that others made, and other deployments; this one touches those
// alone that carry its tag.
package ses

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"tenure/core"
	"tenure/core/sending"
)

// Tag is the tag of an identity that says which deployment made it. Roles name it.
const Tag = "tenure:deployment"

// operations are what is asked of the client; see core/table/dynamo for why the
// client itself is not held.
type operations struct {
	create   func(context.Context, *sesv2.CreateEmailIdentityInput, ...func(*sesv2.Options)) (*sesv2.CreateEmailIdentityOutput, error)
	get      func(context.Context, *sesv2.GetEmailIdentityInput, ...func(*sesv2.Options)) (*sesv2.GetEmailIdentityOutput, error)
	remove   func(context.Context, *sesv2.DeleteEmailIdentityInput, ...func(*sesv2.Options)) (*sesv2.DeleteEmailIdentityOutput, error)
	signWith func(context.Context, *sesv2.PutEmailIdentityDkimSigningAttributesInput, ...func(*sesv2.Options)) (*sesv2.PutEmailIdentityDkimSigningAttributesOutput, error)
	returnTo func(context.Context, *sesv2.PutEmailIdentityMailFromAttributesInput, ...func(*sesv2.Options)) (*sesv2.PutEmailIdentityMailFromAttributesOutput, error)
}

// Provider is Amazon SES. It is a sending.Provider.
type Provider struct {
	ask        operations
	deployment string
}

// New returns the provider of a deployment.
func New(client *sesv2.Client, deployment string) *Provider {
	return &Provider{operations{
		create: client.CreateEmailIdentity, get: client.GetEmailIdentity, remove: client.DeleteEmailIdentity,
		signWith: client.PutEmailIdentityDkimSigningAttributes, returnTo: client.PutEmailIdentityMailFromAttributes,
	}, deployment}
}

// Ensure makes the identity, or gives the one there is another key.
func (p *Provider) Ensure(ctx context.Context, id sending.Identity) error {
	key := &types.DkimSigningAttributes{
		DomainSigningPrivateKey: aws.String(base64.StdEncoding.EncodeToString(id.PrivateKey)), DomainSigningSelector: aws.String(id.Selector),
	}
	_, err := p.ask.create(ctx, &sesv2.CreateEmailIdentityInput{
		EmailIdentity: aws.String(id.Domain), DkimSigningAttributes: key,
		Tags: []types.Tag{{Key: aws.String(Tag), Value: aws.String(p.deployment)}},
	})
	if _, exists := errors.AsType[*types.AlreadyExistsException](err); exists {
		if _, err = p.ours(ctx, id.Domain); err == nil {
			_, err = p.ask.signWith(ctx, &sesv2.PutEmailIdentityDkimSigningAttributesInput{
				EmailIdentity: aws.String(id.Domain), SigningAttributesOrigin: types.DkimSigningAttributesOriginExternal, SigningAttributes: key,
			})
		}
	}
	if err == nil {
		_, err = p.ask.returnTo(ctx, &sesv2.PutEmailIdentityMailFromAttributesInput{
			EmailIdentity: aws.String(id.Domain), MailFromDomain: aws.String(id.MailFrom),
			// Mail goes out also while the record of the return path is missing.
			BehaviorOnMxFailure: types.BehaviorOnMxFailureUseDefaultValue,
		})
	}
	return explain(err)
}

// Status asks for the identity.
func (p *Provider) Status(ctx context.Context, domain string) (sending.Service, error) {
	got, err := p.ours(ctx, domain)
	if isNotFound(err) {
		return sending.Service{}, nil
	}
	if err != nil {
		return sending.Service{}, explain(err)
	}
	s := sending.Service{Known: true, Sending: got.VerifiedForSendingStatus, Domain: word(got.VerificationStatus)}
	if d := got.DkimAttributes; d != nil {
		s.DKIM = word(d.Status)
		if d.SigningAttributesOrigin == types.DkimSigningAttributesOriginExternal && len(d.Tokens) == 1 {
			s.Selector = d.Tokens[0]
		}
	}
	if m := got.MailFromAttributes; m != nil {
		s.MailFrom, s.ReturnPath = word(m.MailFromDomainStatus), aws.ToString(m.MailFromDomain)
	}
	return s, nil
}

// Remove deletes the identity, if it is one that this deployment made.
func (p *Provider) Remove(ctx context.Context, domain string) error {
	_, err := p.ours(ctx, domain)
	if _, foreign := errors.AsType[*foreignError](err); foreign || isNotFound(err) {
		return nil
	}
	if err == nil {
		_, err = p.ask.remove(ctx, &sesv2.DeleteEmailIdentityInput{EmailIdentity: aws.String(domain)})
	}
	if isNotFound(err) {
		return nil
	}
	return explain(err)
}

// foreignError says that an identity was made by somebody else.
type foreignError struct{ domain string }

func (f *foreignError) Error() string {
	return fmt.Sprintf("%s is set up in this AWS account already, and not by this deployment: "+
		"its operator must delete that identity in Amazon SES first, or you use another domain, such as one below it", f.domain)
}

// ours returns an identity that this deployment made.
func (p *Provider) ours(ctx context.Context, domain string) (*sesv2.GetEmailIdentityOutput, error) {
	got, err := p.ask.get(ctx, &sesv2.GetEmailIdentityInput{EmailIdentity: aws.String(domain)})
	if err == nil && !slices.ContainsFunc(got.Tags, func(t types.Tag) bool {
		return aws.ToString(t.Key) == Tag && aws.ToString(t.Value) == p.deployment
	}) {
		return nil, &foreignError{domain}
	}
	return got, err
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*types.NotFoundException](err)
	return ok
}

// explain returns what a workspace can mend as a *core.Failure.
func explain(err error) error {
	if f, ok := errors.AsType[*foreignError](err); ok {
		return &core.Failure{Code: core.Conflicting, Field: "domain", Message: f.Error()}
	}
	if _, ok := errors.AsType[*types.BadRequestException](err); ok {
		return &core.Failure{Code: core.NotAChoice, Field: "domain", Message: "Amazon SES does not take this domain: set up another one"}
	}
	return err
}

// word returns a status as the port has it.
func word[S ~string](status S) string {
	if status == "" {
		return "not_started"
	}
	return strings.ToLower(string(status))
}
