package console

import (
	"net/http"
	"slices"

	"tenure/core/identity"
)

// anybody is the role of a page that everybody may see who is signed in, also who
// belongs to no workspace.
const anybody identity.Role = "anybody"

// route is one page, or one change that is made from a page.
type route struct {
	method string
	// path is below BasePath, in the form of http.ServeMux.
	path string
	// role is the least one that it takes; empty for a page that needs no session.
	role  identity.Role
	serve func(*server, *request) (view, error)
	// form shows the page again whose form was refused.
	form func(*server, *request) (view, error)
	// streams says that the form has a file, which serve reads while it arrives.
	streams bool
}

// routes are all pages of the console.
var routes = slices.Concat([]route{
	{method: http.MethodGet, path: "/{$}", role: identity.Viewer, serve: home},

	{method: http.MethodGet, path: "/sign-in", serve: signInPage},
	{method: http.MethodPost, path: "/sign-in", serve: signIn, form: signInPage},
	{method: http.MethodGet, path: "/welcome/{token}", serve: welcomePage},
	{method: http.MethodPost, path: "/welcome/{token}", serve: welcome, form: welcomePage},
	{method: http.MethodPost, path: "/sign-out", role: anybody, serve: signOut},
	{method: http.MethodPost, path: "/workspace", role: anybody, serve: switchWorkspace},

	{method: http.MethodGet, path: "/keys", role: identity.Viewer, serve: keysPage},
	{method: http.MethodPost, path: "/keys", role: identity.Admin, serve: createKey, form: keysPage},
	{method: http.MethodPost, path: "/keys/{id}/label", role: identity.Admin, serve: labelKey, form: keysPage},
	{method: http.MethodPost, path: "/keys/{id}/revoke", role: identity.Admin, serve: revokeKey},

	{method: http.MethodGet, path: "/status", role: identity.Viewer, serve: statusPage},
	{method: http.MethodGet, path: "/status/{id}", role: identity.Viewer, serve: callPage},

	{method: http.MethodGet, path: "/email", role: identity.Viewer, serve: emailPage},
	{method: http.MethodPost, path: "/email", role: identity.Admin, serve: setEmail, form: emailPage},
	{method: http.MethodPost, path: "/email/check", role: identity.Admin, serve: checkEmail},
	{method: http.MethodPost, path: "/email/key", role: identity.Admin, serve: rotateEmailKey},
	{method: http.MethodPost, path: "/email/remove", role: identity.Admin, serve: removeEmail},

	{method: http.MethodGet, path: "/uploads", role: identity.Viewer, serve: uploadsPage},
	{method: http.MethodPost, path: "/uploads", role: identity.Admin, serve: createUpload, form: uploadsPage},
	{method: http.MethodGet, path: "/uploads/{id}", role: identity.Viewer, serve: uploadPage},
	{method: http.MethodGet, path: "/uploads/{id}/rejected.csv", role: identity.Viewer, serve: rejectedRows},
	{method: http.MethodPost, path: "/uploads/{id}/file", role: identity.Admin, serve: receiveUpload, form: uploadPage, streams: true},
	{method: http.MethodPost, path: "/uploads/{id}/check", role: identity.Admin, serve: changeUpload("check"), form: uploadPage},
	{method: http.MethodPost, path: "/uploads/{id}/apply", role: identity.Admin, serve: changeUpload("apply"), form: uploadPage},
	{method: http.MethodPost, path: "/uploads/{id}/cancel", role: identity.Admin, serve: changeUpload("cancel"), form: uploadPage},
	{method: http.MethodPost, path: "/uploads/{id}/resume", role: identity.Admin, serve: changeUpload("resume"), form: uploadPage},

	{method: http.MethodGet, path: "/sources", role: identity.Viewer, serve: sourcesPage},
	{method: http.MethodGet, path: "/sources/{id}", role: identity.Viewer, serve: sourcePage},
	{method: http.MethodPost, path: "/sources/{id}/run", role: identity.Admin, serve: runSource, form: sourcePage},
	{method: http.MethodPost, path: "/sources/{id}/pause", role: identity.Admin, serve: pauseSource, form: sourcePage},
	{method: http.MethodPost, path: "/sources/{id}/delete", role: identity.Admin, serve: deleteSource},
	{method: http.MethodGet, path: "/sources/{id}/runs/{run}", role: identity.Viewer, serve: runPage},
	{method: http.MethodGet, path: "/sources/{id}/runs/{run}/problems.csv", role: identity.Viewer, serve: runProblems},
	{method: http.MethodGet, path: "/sources/{id}/waiting.csv", role: identity.Viewer, serve: waitingRecords},

	{method: http.MethodGet, path: "/people", role: identity.Viewer, serve: peoplePage},
	{method: http.MethodPost, path: "/people/invitations", role: identity.Admin, serve: invite, form: peoplePage},
	{method: http.MethodPost, path: "/people/invitations/{id}/take-back", role: identity.Admin, serve: takeBack},
	{method: http.MethodPost, path: "/people/{id}/role", role: identity.Admin, serve: setRole, form: peoplePage},
	{method: http.MethodPost, path: "/people/{id}/remove", role: identity.Admin, serve: removeMember, form: peoplePage},

	{method: http.MethodGet, path: "/audit", role: identity.Viewer, serve: auditPage},

	{method: http.MethodGet, path: "/profile", role: anybody, serve: profilePage},
	{method: http.MethodPost, path: "/profile/password", role: anybody, serve: changePassword, form: profilePage},
	{method: http.MethodPost, path: "/profile/sessions/{id}/end", role: anybody, serve: endSession},
	{method: http.MethodPost, path: "/profile/sessions/end-others", role: anybody, serve: endOtherSessions},
}, credentialRoutes(), oauthRoutes(), mappingRoutes(), filterRoutes(), fieldsRoutes(), setupRoutes(), moneyRoutes(), previewRoutes(), matchingRoutes(), usageRoutes(), healthRoutes(), templateRoutes())

// section is a place in the navigation.
type section struct {
	// Path is below BasePath + "/"; Icon names a symbol of icons.svg.
	Path, Title, Icon string
}

// sections are the navigation, by groups.
var sections = []struct {
	Title string
	Items []section
}{
	{"", []section{{"", "Home", "home"}}},
	{"Data", []section{
		{"status", "API status", "pulse"},
		{"uploads", "CSV upload", "upload"},
		{"usage", "Usage", "pulse"},
		{"health", "Health", "pulse"},
	}},
	{"Integrations", []section{
		{"sources", "Sources", "link"},
		{"matching", "Fuzzy matching", "good"},
		{"credentials", "Credentials", "key"},
		{"oauth", "OAuth", "key"},
	}},
	{"Settings", []section{
		{"keys", "API keys", "key"},
		{"email", "E-mail", "mail"},
		{"people", "People", "people"},
		{"audit", "Audit log", "list"},
	}},
}

// notices are what people are told after a change, by the word that leads back.
var notices = map[string]string{
	"key-labelled":        "The key has its new label.",
	"key-revoked":         "The key is revoked. It opens nothing any more, everywhere within five seconds.",
	"email-set":           "The domain and address are saved. Publish the records below, then check them.",
	"email-checked":       "The records were looked up.",
	"email-key-made":      "There is a next key. Publish its record beside the one in use, then check.",
	"email-removed":       "The domain is removed, and its keys are deleted. Its records in DNS may go now.",
	"access-granted":      "Access is granted. Test the connection next, on the page of the source’s credentials.",
	"app-needed":          "Store the id and the secret of your app first, then grant access.",
	"access-forgotten":    "The source is disconnected. What the system has granted to the app is taken away there.",
	"credentials-stored":  "The credentials are stored, sealed. Test the connection next.",
	"credentials-deleted": "The credentials are deleted.",
	"source-added":        "The source is added, and paused until you let it run. Store its credentials next, or grant access.",
	"source-added-ended":  "The source is added. As its service has ended, records come from exported files alone.",
	"source-changed":      "The settings are saved.",
	"source-changed-anew": "The settings are saved. Records that were read before stay as they are: read all records anew to have it everywhere.",
	"money-changed":       "The currency and the rates are saved. Amounts that were read before stay as they are until they are read anew.",
	"source-asked":        "The source runs as soon as there is room for it.",
	"source-paused":       "The source does not run by itself any more.",
	"source-resumed":      "The source runs by itself again.",
	"source-mapped":       "The mapping is saved. Records are placed by it as they are read: read all records anew to have it everywhere.",
	"source-filtered":     "The filter is saved. Records go by it as they are read: read all records anew to have it everywhere.",
	"source-fields":       "The fields are saved. Records are made by them as they are read: read all records anew to have it everywhere.",
	"source-deleted":      "The source is deleted. The records that came from it stay.",
	"matching-asked":      "The search begins as soon as there is room for it.",
	"matching-stopped":    "The search is stopped. What was found before stays.",
	"matching-accepted":   "The match is accepted. The next run of the source goes by it.",
	"matching-all":        "The matches are accepted. The next run of the source goes by them.",
	"matching-more":       "Many matches are accepted, and there may be more: accept all once more.",
	"matching-none":       "No candidate has so many points and can be told from others: nothing was accepted.",
	"matching-rejected":   "It is not a match, and is not proposed again.",
	"matching-undone":     "The decision is taken back: all is linked as it was before.",
	"usage-changed":       "The settings are saved.",
	"health-changed":      "The settings are saved. All accounts are assessed by them within some minutes.",
	"taken-back":          "The invitation is taken back.",
	"role-changed":        "The role is changed.",
	"member-removed":      "The person no longer belongs to this workspace.",
	"password-changed":    "Your password is changed, and your other sessions have ended.",
	"session-ended":       "The session has ended.",
	"sessions-ended":      "All your other sessions have ended.",
	"signed-out":          "You are signed out.",
	"workspace-changed":   "You are looking at another workspace now.",
}
