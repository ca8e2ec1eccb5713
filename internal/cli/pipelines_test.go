package cli

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// TestPipelines runs what action.yml, the GitLab template and the pre-commit hooks run, with the program as it is built, in a folder of their own.
func TestPipelines(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "drawbridge")
	if out, err := exec.Command("go", "build", "-o", program, "drawbridge/cmd/drawbridge").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := func(name string, v any) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	// run runs a script as a runner does, and returns its folder, output and status.
	run := func(t *testing.T, env map[string]string, name string, args ...string) (dir, out string, status int) {
		t.Helper()
		dir = t.TempDir()
		if err := os.Symlink(filepath.Join(root, "examples"), filepath.Join(dir, "examples")); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(name, args...)
		c.Dir, c.Env = dir, append(os.Environ(), "RUNNER_TEMP="+dir)
		for k, v := range env {
			c.Env = append(c.Env, k+"="+v)
		}
		text, err := c.CombinedOutput()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		if ended != nil {
			status = ended.ExitCode()
		}
		return dir, string(text), status
	}
	plans := map[string]int{"examples/gate/narrow.json": 0, "examples/gate/widen-by-list.json": 1, "examples/gate/unknown.json": codeUnknown, "examples/gate/none.json": 2}

	t.Run("github", func(t *testing.T) {
		var action struct {
			Inputs  map[string]struct{ Default string }
			Outputs map[string]struct{ Value string }
			Runs    struct {
				Using string
				Steps []struct {
					Shell, Run string
					Env        map[string]string
				}
			}
		}
		read("action.yml", &action)
		if action.Runs.Using != "composite" || len(action.Runs.Steps) != 1 || action.Runs.Steps[0].Shell != "bash" {
			t.Fatalf("action %+v", action.Runs)
		}
		step := action.Runs.Steps[0]
		for plan, want := range plans {
			given := map[string]string{"plan": plan, "base": "examples/acme", "source": "", "drawbridge": program}
			env := map[string]string{"GITHUB_STEP_SUMMARY": filepath.Join(t.TempDir(), "summary.md")}
			for name, expression := range step.Env {
				input, ok := strings.CutPrefix(strings.Trim(expression, "${} "), "inputs.")
				if !ok {
					continue // github.action_path
				}
				declared, ok := action.Inputs[input]
				if !ok {
					t.Fatalf("the step takes the input %q, which is not declared", input)
				}
				env[name] = declared.Default
				if v, ok := given[input]; ok {
					env[name] = v
				}
			}
			dir, out, status := run(t, env, "bash", "-e", "-o", "pipefail", "-c", step.Run)
			if status != want {
				t.Errorf("%s: status %d, want %d: %s", plan, status, want, out)
			}
			if want == 2 {
				continue
			}
			for _, o := range action.Outputs {
				if info, err := os.Stat(filepath.Join(dir, o.Value)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %s: %v", plan, o.Value, err)
				}
			}
			if summary, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"]); err != nil || !strings.Contains(string(summary), "## Drawbridge") {
				t.Errorf("%s: the summary is %q, error %v", plan, summary, err)
			}
		}
	})

	t.Run("gitlab", func(t *testing.T) {
		var template map[string]struct {
			Variables map[string]string
			Script    []string
			Artifacts struct{ Reports map[string]string }
		}
		read("ci/gitlab/drawbridge-gate.yml", &template)
		job := template["drawbridge-gate"]
		for plan, want := range plans {
			env := map[string]string{}
			for name, value := range job.Variables {
				env[name] = value
			}
			env["DRAWBRIDGE"], env["DRAWBRIDGE_PLAN"], env["DRAWBRIDGE_BASE"], env["DRAWBRIDGE_SOURCE"] = program, plan, "examples/acme", ""
			dir, out, status := run(t, env, "sh", "-e", "-c", strings.Join(job.Script, "\n"))
			if status != want {
				t.Errorf("%s: status %d, want %d: %s", plan, status, want, out)
			}
			if _, err := os.Stat(filepath.Join(dir, job.Artifacts.Reports["junit"])); want != codeUsage && err != nil {
				t.Errorf("%s: %v", plan, err)
			}
		}
	})

	t.Run("pre-commit", func(t *testing.T) {
		var hooks []struct{ ID, Entry, Language, Files string }
		read(".pre-commit-hooks.yaml", &hooks)
		files := map[string]map[string]int{
			"drawbridge-registry": {"examples/gate/registry.yaml": 0, "examples/gate/narrow.json": 1},
			"drawbridge-gate":     {"examples/gate/narrow.json": 0, "examples/gate/widen-by-list.json": 1, "examples/gate/unknown.json": codeUnknown},
		}
		for _, h := range hooks {
			for file, want := range files[h.ID] {
				words := append(strings.Fields(h.Entry)[1:], file)
				if _, out, status := run(t, nil, program, words...); status != want {
					t.Errorf("%s %s: status %d, want %d: %s", h.ID, file, status, want, out)
				}
			}
			delete(files, h.ID)
		}
		if len(files) > 0 {
			t.Errorf("there are no hooks for %v", files)
		}
	})

	t.Run("schema", func(t *testing.T) {
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join(root, "docs/schema/gate.schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(root, "examples/gate/*.json"))
		if err != nil || len(names) == 0 {
			t.Fatal(err)
		}
		for _, name := range names {
			_, out, _ := run(t, nil, program, "gate", name, "--base", "examples/acme", "--registry", "examples/gate/registry.yaml", "--format", "json")
			var v any
			if err := json.Unmarshal([]byte(out), &v); err != nil {
				t.Fatalf("%s: %v: %s", name, err, out)
			}
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
