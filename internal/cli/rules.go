package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"drawbridge/internal/catalog"
	"drawbridge/internal/report"
	"drawbridge/internal/rule"
)

func newRules(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "List the rules, or show one",
		Args:  noCommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newRulesList(e), newRulesShow(e))
	return c
}

// ruleForm is a rule in JSON.
type ruleForm struct {
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Severity   string   `json:"severity"`
	Since      string   `json:"since,omitempty"`
	Detects    string   `json:"detects"`
	Why        string   `json:"why"`
	Remedy     string   `json:"remedy"`
	Parameters []string `json:"parameters"`
	Controls   []string `json:"controls"`
	Before     string   `json:"before,omitempty"`
	After      string   `json:"after,omitempty"`
}

func formOf(r *rule.Rule) ruleForm {
	return ruleForm{
		r.ID, r.Title, r.Severity.String(), r.Since, r.Detects, r.Why, r.Remedy, append([]string{}, r.Parameters...), report.Controls(&r.Controls),
		r.Example.Before, r.Example.After,
	}
}

func newRulesList(e *Env) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "list",
		Short: "List all rules",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			rules := catalog.All()
			switch format {
			case "text":
				return output(e, "", func(w io.Writer) error {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					for _, r := range rules {
						fmt.Fprintf(t, "%s\t%s\t%s\n", r.ID, r.Severity, r.Title)
					}
					return t.Flush()
				})
			case "json":
				forms := make([]ruleForm, len(rules))
				for i, r := range rules {
					forms[i] = formOf(r)
				}
				return output(e, "", func(w io.Writer) error { return writeJSON(w, forms) })
			}
			return usagef("--format %q is not known: use text or json", format)
		},
	}
	c.Flags().StringVar(&format, "format", "text", "form of the list: `FORMAT` is text or json")
	completeWords(c, "format", []string{"text", "json"})
	return c
}

func newRulesShow(e *Env) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show what a rule detects, why it matters, and what to do",
		Args:  cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var ids []cobra.Completion
			for _, r := range catalog.All() {
				ids = append(ids, cobra.CompletionWithDesc(r.ID, r.Title))
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			rules := catalog.All()
			i := slices.IndexFunc(rules, func(r *rule.Rule) bool { return strings.EqualFold(r.ID, args[0]) })
			if i < 0 {
				return usagef("there is no rule %q: 'drawbridge rules list' names all", args[0])
			}
			switch format {
			case "text":
				return output(e, "", func(w io.Writer) error { return showRule(w, rules[i]) })
			case "json":
				return output(e, "", func(w io.Writer) error { return writeJSON(w, formOf(rules[i])) })
			}
			return usagef("--format %q is not known: use text or json", format)
		},
	}
	c.Flags().StringVar(&format, "format", "text", "form: `FORMAT` is text or json")
	completeWords(c, "format", []string{"text", "json"})
	return c
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func showRule(w io.Writer, r *rule.Rule) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\nSeverity    %s\n", r.ID, r.Title, r.Severity)
	if r.Since != "" {
		fmt.Fprintf(&b, "Since       %s\n", r.Since)
	}
	if len(r.Parameters) > 0 {
		fmt.Fprintf(&b, "Parameters  %s\n", strings.Join(r.Parameters, ", "))
	}
	for i, c := range report.Controls(&r.Controls) {
		name := "Controls"
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(&b, "%-10s  %s\n", name, c)
	}
	for _, section := range []struct{ title, text string }{
		{"What it detects", r.Detects}, {"Why it matters", r.Why}, {"Remedy", r.Remedy}, {"Before", r.Example.Before}, {"After", r.Example.After},
	} {
		if section.text != "" {
			fmt.Fprintf(&b, "\n%s\n%s\n", section.title, indent(section.text))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// indent sets a text off by two spaces.
func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}
