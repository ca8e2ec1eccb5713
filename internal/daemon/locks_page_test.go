package daemon_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestLocksPage: responders lock and lift on a page, others see it or do not; the page of a request says what stops it, and what is known of its target.
func TestLocksPage(t *testing.T) {
	d, p := startWithPeople(t)
	id := d.File(t, "4711", `{"entry": "ci-deploy", "reason": "release 7"}`)
	p.Be("ann@example.com", "release")
	ann := newBrowser(t, d.URL)
	ann.get("/") // signs in
	p.Be("eve@example.com", "interns")
	eve := newBrowser(t, d.URL)
	if status, _, _ := eve.get("/locks"); status != 403 {
		t.Errorf("eve sees the locks: %d", status)
	}
	p.Be("bob@example.com", "release", "security")
	bob := newBrowser(t, d.URL)
	if status, text, _ := bob.get("/locks"); status != 200 || !strings.Contains(text, "Nothing is locked.") || !strings.Contains(text, `name="hours"`) {
		t.Fatalf("bob sees no lock: %d %s", status, text)
	}
	for name, form := range map[string]url.Values{
		"the 12 digits":      {"kind": {"account"}, "value": {"prod"}, "reason": {"x"}},
		"the ARN of one":     {"kind": {"role"}, "value": {"arn:aws:iam::222222222222:role/*"}, "reason": {"x"}},
		"expected subject":   {"kind": {"planet"}, "value": {"mars"}, "reason": {"x"}},
		"say what is":        {"kind": {"vendor"}, "reason": {"x"}},
		"expected hours":     {"kind": {"vendor"}, "value": {"Metrigraph"}, "reason": {"x"}, "hours": {"-1"}},
		"say why":            {"kind": {"vendor"}, "value": {"<Metrigraph>"}},
		"&lt;Metrigraph&gt;": {"kind": {"vendor"}, "value": {"<Metrigraph>"}},
	} {
		if status, text, _ := bob.post("/locks", form); status != 422 || !strings.Contains(text, name) {
			t.Errorf("%v: %d %s", form, status, text)
		}
	}
	lock := url.Values{"kind": {"account"}, "value": {"222222222222"}, "reason": {"key <found>"}, "hours": {"24"}}
	if status, _, _ := bob.do(http.MethodPost, "/locks", lock, map[string]string{"Sec-Fetch-Site": "cross-site"}); status != 403 {
		t.Errorf("another site locks: %d", status)
	}
	status, text, at := bob.post("/locks", lock)
	if status != 200 || at != d.URL+"/locks" || !strings.Contains(text, "key &lt;found&gt;") || !strings.Contains(text, "222222222222") {
		t.Fatalf("bob locks: %d %s %s", status, at, text)
	}
	lifting := regexp.MustCompile(`action="(/locks/[^"]+/lifting)"`).FindStringSubmatch(text)
	if lifting == nil {
		t.Fatalf("it cannot be lifted: %s", text)
	}
	if status, text, _ := ann.get("/requests/" + id); status != 200 || !strings.Contains(text, "Locked by bob@example.com") || !strings.Contains(text, "Not known: no snapshot was pushed") {
		t.Errorf("the page of a request: %d %s", status, text)
	}
	if status, text, _ := ann.get("/"); status != 200 || !strings.Contains(text, "One lock is") {
		t.Errorf("the list: %d %s", status, text)
	}
	// Ann sees all, and is no responder.
	if status, text, _ := ann.get("/locks"); status != 200 || strings.Contains(text, "/lifting") || strings.Contains(text, `name="hours"`) {
		t.Errorf("ann's page: %d %s", status, text)
	}
	for _, path := range []string{"/locks", lifting[1]} {
		if status, _, _ := ann.post(path, lock); status != 403 {
			t.Errorf("ann at %s: %d", path, status)
		}
	}
	if status, text, _ := bob.post(lifting[1], url.Values{"reason": {" "}}); status != 422 || !strings.Contains(text, "key &lt;found&gt;") {
		t.Errorf("lifted without a reason: %d %s", status, text)
	}
	if status, text, _ := bob.post(lifting[1], url.Values{"reason": {"changed"}}); status != 200 || !strings.Contains(text, "Nothing is locked.") {
		t.Errorf("bob lifts: %d %s", status, text)
	}
	if status, _, _ := bob.post(lifting[1], url.Values{"reason": {"again"}}); status != 404 {
		t.Errorf("lifted twice: %d", status)
	}

	// The log has all of that, for those who may read it.
	if status, _, _ := ann.get("/log"); status != 403 {
		t.Errorf("ann reads the log: %d", status)
	}
	if status, text, _ := bob.get("/log"); status != 200 || !strings.Contains(text, "lock.set") || !strings.Contains(text, `href="/requests/`+id+`">`) || strings.Contains(text, "<found>") {
		t.Errorf("bob's log: %d %s", status, text)
	}
	if _, text, _ := bob.get("/log"); !strings.Contains(text, "<summary>audit.read</summary>") {
		t.Errorf("that he read is not there: %s", text)
	}
	for _, before := range []string{"0", "-1", "x", "99999999"} {
		if status, _, _ := bob.get("/log?before=" + before); status != 404 {
			t.Errorf("before %s: %d", before, status)
		}
	}
	if status, text, _ := bob.get("/log?before=3"); status != 200 || !strings.Contains(text, ">Newer</a>") || strings.Contains(text, ">Older</a>") || strings.Count(text, "<summary>") != 3 {
		t.Errorf("the first three: %d %s", status, text)
	}
}
