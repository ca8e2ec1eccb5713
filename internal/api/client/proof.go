package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"drawbridge/internal/api/wire"
)

// Proof is where that comes from which proves a workload. It proves something once, so that it is asked for anew each time.
type Proof struct {
	// Name tells where from, for messages and for the name of what is kept.
	Name string
	Get  func(ctx context.Context) (wire.Proof, error)
}

// Static are tokens of the API that are given as they are, as a local setup prints one.
type Static string

// Token implements Tokens.
func (s Static) Token(_ context.Context, refused string) (string, error) {
	if refused != "" {
		return "", fmt.Errorf("%w: the token that was given is over, or is none of this broker", ErrUnproven)
	}
	return string(s), nil
}

// Exchanged are tokens of the API that are exchanged for a proof and kept until they are over, in a file that only its owner reads: programs that run once for each call need not prove themselves each time.
type Exchanged struct {
	Client *Client
	Proof  Proof
	// Folder is where they are kept, "" for nowhere.
	Folder string
	Now    func() time.Time
}

type keptToken struct {
	Token string    `json:"token"`
	Until time.Time `json:"until"`
}

// early is how long before its end a token is not used any more.
const early = 30 * time.Second

// Token implements Tokens.
func (e *Exchanged) Token(ctx context.Context, refused string) (string, error) {
	if kept := e.read(); kept.Token != "" && kept.Token != refused && e.Now().Before(kept.Until.Add(-early)) {
		return kept.Token, nil
	}
	if e.Proof.Get == nil {
		return "", fmt.Errorf("%w: %s", ErrUnproven, e.Proof.Name)
	}
	proof, err := e.Proof.Get(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: the proof by %s: %w", ErrUnproven, e.Proof.Name, err)
	}
	got, err := e.Client.Exchange(ctx, proof)
	if err != nil {
		return "", fmt.Errorf("proving who you are by %s: %w", e.Proof.Name, err)
	}
	_ = e.Keep(got) // a convenience: where it fails, the next call proves itself again
	return got.AccessToken, nil
}

// Keep keeps a token for the calls that come.
func (e *Exchanged) Keep(t *wire.Token) error {
	return e.write(keptToken{t.AccessToken, e.Now().Add(time.Duration(t.ExpiresIn) * time.Second)})
}

// Forget drops what was kept.
func (e *Exchanged) Forget() error {
	if err := os.Remove(e.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// file is one for each broker and proof: two workloads of one user do not share.
func (e *Exchanged) file() string {
	if e.Folder == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(e.Client.URL + "\n" + e.Proof.Name))
	return filepath.Join(e.Folder, hex.EncodeToString(sum[:16])+".json")
}

func (e *Exchanged) read() (kept keptToken) {
	name := e.file()
	if name == "" {
		return kept
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		return keptToken{} // what others may read, others may have written
	}
	text, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(text, &kept) != nil {
		return keptToken{}
	}
	return kept
}

func (e *Exchanged) write(kept keptToken) error {
	name := e.file()
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(e.Folder, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(e.Folder, ".token-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Find looks for a proof in an environment, in this order: the file that DRAWBRIDGE_ID_TOKEN_FILE names (Kubernetes writes and renews one), the token in DRAWBRIDGE_ID_TOKEN (GitLab's id_tokens), and GitHub Actions, which is asked for
// one that is made for the audience. A zero Proof: there is none.
func Find(getenv func(string) string, audience string) Proof {
	switch {
	case getenv("DRAWBRIDGE_ID_TOKEN_FILE") != "":
		return File(getenv("DRAWBRIDGE_ID_TOKEN_FILE"))
	case getenv("DRAWBRIDGE_ID_TOKEN") != "":
		token := getenv("DRAWBRIDGE_ID_TOKEN")
		sum := sha256.Sum256([]byte(token))
		return Proof{"the token in DRAWBRIDGE_ID_TOKEN " + hex.EncodeToString(sum[:4]), func(context.Context) (wire.Proof, error) { return wire.Proof{Token: token}, nil }}
	case getenv("ACTIONS_ID_TOKEN_REQUEST_URL") != "" && getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN") != "":
		// The run is part of the name: what one run of a self-hosted runner proved, another does not use.
		return Proof{"GitHub Actions " + strings.Join([]string{getenv("GITHUB_REPOSITORY"), getenv("GITHUB_RUN_ID"), getenv("GITHUB_RUN_ATTEMPT"), getenv("GITHUB_JOB")}, " "), func(ctx context.Context) (wire.Proof, error) {
			token, err := actionsToken(ctx, getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"), audience)
			return wire.Proof{Token: token}, err
		}}
	}
	return Proof{}
}

// File is a proof that stands in a file, which whoever runs the workload renews.
func File(name string) Proof {
	return Proof{"the file " + name, func(context.Context) (wire.Proof, error) {
		text, err := os.ReadFile(name)
		if err != nil {
			return wire.Proof{}, err
		}
		token := strings.TrimSpace(string(text))
		if token == "" {
			return wire.Proof{}, &fs.PathError{Op: "read", Path: name, Err: errors.New("the file is empty")}
		}
		return wire.Proof{Token: token}, nil
	}}
}

// actionsToken asks GitHub Actions for a token. Source: GitHub Docs, "OpenID Connect reference", methods for requesting the OIDC token.
func actionsToken(ctx context.Context, address, bearer, audience string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("ACTIONS_ID_TOKEN_REQUEST_URL: %w", err)
	}
	values := u.Query()
	values.Set("audience", audience)
	u.RawQuery = values.Encode()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	q.Header.Set("Authorization", "Bearer "+bearer)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GitHub answered %s: has the job the permission 'id-token: write'?", answer.Status)
	}
	var got struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&got); err != nil {
		return "", fmt.Errorf("reading GitHub's answer: %w", err)
	}
	if got.Value == "" {
		return "", errors.New("GitHub's answer holds no token")
	}
	return got.Value, nil
}
