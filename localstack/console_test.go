package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/localstack/browser"
)

// These tests use the console as people do, in a browser, of the program as
// people run it. Every page they come by is inspected: for what axe finds, on a
// desktop and on a phone, in light and in dark.

// testPassword is good enough for the console, and nobody's.
const testPassword = "not a real password"

// adminLink returns the path of the one-time link that makes an admin of a
// workspace, as the program has printed it.
func (p *process) adminLink(workspace string) string {
	p.t.Helper()
	return strings.TrimPrefix(p.line("  to become an admin of "+workspace+", once within a day: "), p.address)
}

// person is somebody with a browser.
type person struct {
	*browser.Page
	email, name string
}

// admin starts the program, and comes in as the first admin of the workspace
// "test".
func admin(t *testing.T, options ...browser.Option) (*process, *person) {
	t.Helper()
	p := start(t, "DATA_DIR="+t.TempDir())
	ann := &person{browser.Open(t, p.address, options...), "ann@example.com", "Ann Archer"}
	ann.join(p.adminLink("test"), "test")
	return p, ann
}

// join makes use of a link for the first admin of a workspace.
func (p *person) join(link, workspace string) {
	p.Visit(link)
	p.See("Welcome to " + workspace)
	p.Fill("E-mail address", p.email)
	p.Fill("Your name", p.name)
	p.Fill("Password", testPassword)
	p.Press("Join " + workspace)
	p.At("/admin/")
}

// signIn signs in on the page for that.
func (p *person) signIn(password string) {
	p.Fill("E-mail address", p.email)
	p.Fill("Password", password)
	p.Press("Sign in")
}

// open opens a page by the navigation.
func (p *person) open(page string) {
	p.In("navigation", page).Follow(page)
}

func TestConsoleSignIn(t *testing.T) {
	t.Parallel()
	p := start(t, "DATA_DIR="+t.TempDir())
	ann := &person{browser.Open(t, p.address), "ann@example.com", "Ann Archer"}
	link := p.adminLink("test")

	for _, page := range []string{"", "keys", "people", "audit"} {
		ann.Visit("/admin/" + page)
		ann.At("/admin/sign-in")
	}
	ann.Inspect("sign-in")

	// The first admin comes by the link that the program has printed.
	ann.Visit(link)
	ann.See("Welcome to test")
	ann.Inspect("welcome")
	ann.Allow(http.StatusUnprocessableEntity)
	ann.Fill("E-mail address", ann.email)
	ann.Fill("Your name", ann.name)
	ann.Fill("Password", "short")
	ann.Press("Join test")
	ann.See("at least 12 characters")
	ann.Inspect("welcome-refused")
	ann.Fill("Password", testPassword)
	ann.Press("Join test")
	ann.At("/admin/")
	ann.See(ann.name)
	ann.Inspect("home-empty")

	// The link is good once.
	stranger := &person{ann.Another(), "eve@example.com", "Eve"}
	stranger.Allow(http.StatusNotFound)
	stranger.Visit(link)
	stranger.See("This link was used before")
	stranger.Inspect("welcome-used")

	// Signed out, nothing is to be seen; a wrong password opens nothing.
	ann.Press("Sign out")
	ann.See("You are signed out.")
	ann.Visit("/admin/keys")
	ann.At("/admin/sign-in")
	ann.signIn("not the password")
	ann.See("The e-mail address or the password is wrong")
	ann.Inspect("sign-in-refused")

	// With the keyboard alone; and she gets to where she was going.
	ann.Visit("/admin/keys")
	if role, name := ann.Focused(); role != "textbox" || name != "E-mail address" {
		t.Errorf("the focus is on the %s %q", role, name)
	}
	ann.Type(ann.email)
	ann.TabTo("textbox", "Password")
	ann.Type(testPassword + "\r")
	ann.At("/admin/keys")

	// She ends a session that she has elsewhere.
	elsewhere := &person{ann.Another(), ann.email, ann.name}
	elsewhere.Visit("/admin/profile")
	elsewhere.signIn(testPassword)
	elsewhere.At("/admin/profile")
	ann.Visit("/admin/profile")
	ann.Inspect("profile")
	ann.Press("End")
	ann.See("The session has ended.")
	elsewhere.Visit("/admin/keys")
	elsewhere.At("/admin/sign-in")

	ann.Visit("/admin/audit")
	ann.See("member.joined", "session.ended")
	ann.Inspect("audit")
}

func TestConsoleSlowsGuessing(t *testing.T) {
	t.Parallel()
	_, ann := admin(t)
	eve := &person{ann.Another(), ann.email, "Eve"}
	eve.Allow(http.StatusUnprocessableEntity)
	eve.Visit("/admin/sign-in")
	for range 10 {
		eve.signIn("a guess")
		eve.See("is wrong")
	}
	eve.signIn(testPassword)
	eve.See("There were too many attempts to sign in.")
	eve.Inspect("sign-in-too-many")
	ann.Visit("/admin/keys")
	ann.At("/admin/keys")
}

func TestConsoleKeepsWorkspacesApart(t *testing.T) {
	t.Parallel()
	p := start(t, "DATA_DIR="+t.TempDir(), "WORKSPACES=one:"+testKey+",two:"+otherKey)
	ann := &person{browser.Open(t, p.address), "ann@example.com", "Ann Archer"}
	ann.join(p.adminLink("one"), "one")
	// The same person comes to another workspace, with the password she has.
	ann.Visit(p.adminLink("two"))
	ann.Fill("E-mail address", ann.email)
	ann.Fill("Password", testPassword)
	ann.Press("Join two")
	ann.At("/admin/")

	make := func(workspace, label string) {
		ann.Choose("Workspace", workspace)
		ann.See("You are looking at another workspace now.")
		ann.open("API keys")
		ann.Fill("Label", label)
		ann.Press("Make the key")
		ann.See("copy it now")
	}
	make("one", "Billing of one")
	make("two", "Billing of two")
	ann.open("API keys")
	ann.See("Billing of two")
	ann.NotSee("Billing of one")
	ann.Inspect("keys-of-two-workspaces")
}

func TestConsoleLetsViewersLook(t *testing.T) {
	t.Parallel()
	_, ann := admin(t)
	ann.open("API keys")
	ann.Fill("Label", "Nightly import")
	ann.Press("Make the key")
	ann.open("People")
	ann.Inspect("people-alone")
	ann.Fill("E-mail address", "vic@example.com")
	ann.Choose("As", "viewer")
	ann.Press("Make the invitation")
	ann.See("vic@example.com is invited")
	ann.Inspect("people-invited")

	vic := &person{ann.Another(), "vic@example.com", "Vic Viewer"}
	vic.Visit(strings.TrimPrefix(ann.Value("Link"), vic.Origin()))
	vic.See("Welcome to test", "a viewer")
	vic.Inspect("welcome-invited")
	vic.Fill("Your name", vic.name)
	vic.Fill("Password", testPassword)
	vic.Press("Join test")
	vic.At("/admin/")
	for page, shows := range map[string]string{"keys": "Nightly import", "people": ann.email, "audit": "key.created"} {
		vic.Visit("/admin/" + page)
		vic.See(shows)
		main := vic.In("main", shows)
		for _, role := range []string{"button", "textbox", "DisclosureTriangle"} {
			for _, name := range main.Names(role) {
				t.Errorf("on %q a viewer finds the %s %q", page, role, name)
			}
		}
		vic.Inspect("viewer-" + page)
	}

	ann.Visit("/admin/people")
	ann.See(vic.email)
	ann.Inspect("people")
	ann.In("row", vic.email).Toggle("Role of " + vic.name)
	ann.Press("Make " + vic.name + " an admin")
	ann.See("The role is changed.")
	vic.Visit("/admin/keys")
	vic.See("Make a key")
	ann.In("row", vic.email).Toggle("Remove " + vic.name)
	ann.Inspect("people-removing")
	ann.Press("Remove " + vic.name)
	ann.See("no longer belongs to this workspace")
	vic.Allow(http.StatusForbidden)
	vic.Visit("/admin/keys")
	vic.See("You belong to no workspace any longer")
	vic.Inspect("nowhere")
}

func TestConsoleKeys(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]browser.Option{"with JavaScript": nil, "without JavaScript": {browser.WithoutScript}} {
		t.Run(name, func(t *testing.T) {
			p, ann := admin(t, options...)
			ann.Visit("/admin/keys")
			ann.Inspect("keys-empty")
			ann.Fill("Label", "Nightly import")
			ann.Press("Make the key")
			ann.See("“Nightly import” is made: copy it now")
			ann.Inspect("keys-made")
			key := ann.Value("API key")
			if options == nil {
				ann.Press("Copy")
				ann.See("Copied")
			}
			ann.In("row", "Nightly import").See("never")
			p.done(key, http.MethodPost, "/accounts", records(account("by-the-key")))

			// Shown once: no page has it any more.
			ann.In("row", "Nightly import").VisitUntil("/admin/keys", "UTC") // when it was used, which is written beside the call
			if strings.Contains(ann.Text(), key) || strings.Contains(ann.HTML(), key) {
				t.Error("the key is shown again")
			}
			ann.In("row", "Nightly import").Toggle("Label of Nightly import")
			ann.Fill("New label", "Hourly import")
			ann.Press("Change")
			ann.See("The key has its new label.", "Hourly import")

			ann.Fill("Label", "Usage")
			ann.Choose("For the", "Usage Event API")
			ann.Press("Make the key")
			ann.See("Auth key")
			ann.Inspect("keys-made-for-usage-events")
			ann.Visit("/admin/keys")

			ann.Allow(http.StatusUnprocessableEntity)
			ann.Fill("Label", "Usage")
			ann.Press("Make the key")
			ann.See("no other valid key has")
			ann.Inspect("keys-refused")

			ann.In("row", "Hourly import").Toggle("Revoke Hourly import")
			ann.Inspect("keys-revoking")
			ann.Press("Revoke the key")
			revoked := time.Now()
			ann.See("The key is revoked.")
			for p.call(key, http.MethodGet, "/accounts", "").status != http.StatusUnauthorized {
				if time.Since(revoked) > 5*time.Second {
					t.Fatal("the key still opens the API")
				}
				time.Sleep(50 * time.Millisecond)
			}
			ann.Toggle("Revoked keys (1)")
			ann.See("Hourly import")
			ann.Inspect("keys-revoked")
			ann.Visit("/admin/audit")
			ann.See("key.created", "key.labelled", "key.revoked", "Hourly import")
			if strings.Contains(ann.HTML(), key) {
				t.Error("the audit log holds the key")
			}
		})
	}
}

// TestConsoleByKeyboard makes a key and revokes it without a mouse.
func TestConsoleByKeyboard(t *testing.T) {
	t.Parallel()
	_, ann := admin(t)
	ann.TabTo("link", "API keys")
	ann.Type("\r")
	ann.At("/admin/keys")
	ann.TabTo("textbox", "Label")
	ann.Type("By keyboard")
	ann.TabTo("button", "Make the key")
	ann.Type(" ")
	ann.See("“By keyboard” is made")
	ann.Screenshot("keyboard-focus")
	ann.TabTo("DisclosureTriangle", "Revoke By keyboard")
	ann.Type("\r")
	if role, name := ann.Focused(); fmt.Sprint(role, name) != "buttonRevoke the key" {
		ann.TabTo("button", "Revoke the key")
	}
	ann.Type("\r")
	ann.See("The key is revoked.")
}

// TestConsoleOnAPhone finds the way, and makes a key, on a phone.
func TestConsoleOnAPhone(t *testing.T) {
	t.Parallel()
	p := start(t, "DATA_DIR="+t.TempDir())
	ann := &person{browser.Open(t, p.address), "ann@example.com", "Ann Archer"}
	ann.Look(browser.Phone, browser.Light)
	ann.join(p.adminLink("test"), "test")
	if ann.Has("link", "API keys") {
		t.Error("the menu is open when a page comes")
	}
	ann.Toggle("Menu")
	ann.Screenshot("menu-phone-light")
	for _, violation := range ann.Violations() {
		t.Errorf("the menu: axe: %s", violation)
	}
	ann.open("API keys")
	ann.Fill("Label", "Made on the way")
	ann.Press("Make the key")
	ann.See("“Made on the way” is made")
	ann.In("row", "Made on the way").Toggle("Revoke Made on the way")
	ann.Press("Revoke the key")
	ann.See("The key is revoked.")
	if wide := ann.Overflow(); wide != "" {
		t.Error(wide)
	}
	// A phone that is turned has the whole navigation, or its menu.
	ann.Look(browser.Desktop, browser.Light)
	ann.open("People")
	ann.See("Invite somebody")
}

// TestConsolePassword changes a password, which ends the person's other sessions;
// who has forgotten it comes back by a link.
func TestConsolePassword(t *testing.T) {
	t.Parallel()
	dir := "DATA_DIR=" + t.TempDir()
	p := start(t, dir)
	ann := &person{browser.Open(t, p.address), "ann@example.com", "Ann Archer"}
	ann.join(p.adminLink("test"), "test")
	elsewhere := &person{ann.Another(), ann.email, ann.name}
	elsewhere.Visit("/admin/sign-in")
	elsewhere.signIn(testPassword)
	elsewhere.At("/admin/")

	const another = "another password, not real"
	ann.Visit("/admin/profile")
	ann.Allow(http.StatusUnprocessableEntity)
	ann.Fill("Present password", "not the password")
	ann.Fill("New password", another)
	ann.Press("Change the password")
	ann.See("That is not your present password")
	ann.Inspect("profile-refused")
	ann.Fill("Present password", testPassword)
	ann.Fill("New password", another)
	ann.Press("Change the password")
	ann.See("Your password is changed")
	elsewhere.Visit("/admin/")
	elsewhere.At("/admin/sign-in")
	elsewhere.Allow(http.StatusUnprocessableEntity)
	elsewhere.signIn(testPassword)
	elsewhere.See("The e-mail address or the password is wrong")
	elsewhere.signIn(another)
	elsewhere.At("/admin/")
	p.terminate()
	p.ends(0)

	// Whoever runs the product makes the link.
	p = start(t, dir, "CONSOLE_LINK="+ann.email)
	again := &person{browser.Open(t, p.address), ann.email, ann.name}
	again.Visit(strings.TrimPrefix(p.line("  for "+ann.email+" to choose a new password, once within a day: "), p.address))
	again.See("Choose a new password")
	again.Inspect("forgotten")
	again.Fill("New password", testPassword)
	again.Press("Set the password")
	again.At("/admin/")
	again.See(ann.name)
}
