package collect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// documentedCodes are codes that mean "there is none" and that the SDK's models do not have, with what of AWS's does.
// Codes of the models need no line here: TestCodesAreOfTheSDK looks them up.
var documentedCodes = map[string]string{
	"s3 GetBucketPolicy NoSuchBucketPolicy":                                                       "S3 API reference, Error responses",
	"s3 GetPublicAccessBlock NoSuchPublicAccessBlockConfiguration":                                "of the model of S3 Control, where the same setting of an account has it",
	"s3 GetBucketOwnershipControls OwnershipControlsNotFoundError":                                "S3 API reference, Error responses",
	"s3 GetBucketEncryption ServerSideEncryptionConfigurationNotFoundError":                       "S3 API reference, Error responses",
	"s3control GetBucketPolicy NoSuchBucketPolicy":                                                "S3 API reference, Error responses",
	"s3control GetAccessPointPolicy NoSuchAccessPointPolicy":                                      "in no list of AWS; its own controller for Kubernetes takes it for an access point without a policy (s3control-controller)",
	"s3control GetAccessPointPolicyForObjectLambda NoSuchAccessPointPolicy":                       "in no list of AWS; its own controller for Kubernetes takes it for an access point without a policy (s3control-controller)",
	"s3control GetAccessGrantsInstance AccessGrantsInstanceNotExistsError":                        "S3 API reference, Error responses, S3 Access Grants",
	"s3control GetAccessGrantsInstanceResourcePolicy AccessGrantsInstanceResourcePolicyNotExists": "S3 API reference, Error responses, S3 Access Grants",
	"sqs GetQueueAttributes AWS.SimpleQueueService.NonExistentQueue":                              "SQS API reference, GetQueueAttributes: the code of its query protocol, whose name in the model is QueueDoesNotExist",
	"ec2 DescribeSnapshotAttribute InvalidSnapshot.NotFound":                                      "EC2 API reference, Error codes",
	"ec2 DescribeImageAttribute InvalidAMIID.NotFound":                                            "EC2 API reference, Error codes",
}

// TestCodesAreOfTheSDK: a code that is taken for "there is none" is one that the operation can answer with, by the SDK's own list of its errors or by AWS's documentation.
// A code from memory that no service sends would make a gap of every resource without a policy; one that means something else would make none of a policy that is there.
func TestCodesAreOfTheSDK(t *testing.T) {
	text, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Dir}}", "all").Output()
	if err != nil {
		t.Skip("the modules cannot be listed: ", err)
	}
	dirs := make(map[string]string)
	for _, line := range strings.Split(string(text), "\n") {
		if path, dir, ok := strings.Cut(line, " "); ok && dir != "" {
			dirs[path] = dir
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked, used := 0, make(map[string]bool)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, use := range codesOf(t, name) {
			key := use.service + " " + use.operation + " " + use.code
			checked++
			switch ok, known := answers(t, dirs["github.com/aws/aws-sdk-go-v2/service/"+use.service], use.operation, use.code); {
			case documentedCodes[key] != "":
				used[key] = true
			case !known:
				t.Logf("%s: the client's source is not here", key)
			case !ok:
				t.Errorf("%s: %s is none of the errors of the operation", use.at, key)
			}
		}
	}
	if checked < 60 {
		t.Errorf("only %d codes were found in the source", checked)
	}
	for key := range documentedCodes {
		if !used[key] {
			t.Errorf("%s: no row uses it", key)
		}
	}
}

type codeUse struct{ service, operation, code, at string }

// codesOf are the codes that the calls of a file name, with service and operation: by the type of the call's input or output.
func codesOf(t *testing.T, name string) []codeUse {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	imports := make(map[string]string)
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		if service, ok := strings.CutPrefix(path, "github.com/aws/aws-sdk-go-v2/service/"); ok {
			imports[last(service)] = service
		}
	}
	consts := map[string]string{"noPolicy": noPolicy}
	var uses []codeUse
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, v := range n.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					consts[n.Names[i].Name], _ = strconv.Unquote(lit.Value)
				}
			}
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.Ident)
			if !ok || called.Name != "ask" && called.Name != "must" && called.Name != "policyBy" {
				return true
			}
			var service, operation string
			var codes []string
			for _, arg := range n.Args {
				switch arg := arg.(type) {
				case *ast.BasicLit:
					code, _ := strconv.Unquote(arg.Value)
					codes = append(codes, code)
				case *ast.Ident:
					if code := consts[arg.Name]; code != "" {
						codes = append(codes, code)
					}
				}
				ast.Inspect(arg, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok && service == "" {
						from, isIdent := s.X.(*ast.Ident)
						op, isInput := strings.CutSuffix(s.Sel.Name, "Input")
						if !isInput {
							op, isInput = strings.CutSuffix(s.Sel.Name, "Output")
						}
						if isIdent && isInput && imports[from.Name] != "" {
							service, operation = imports[from.Name], op
						}
					}
					return true
				})
			}
			for _, code := range codes {
				if code == "" {
					continue
				}
				if service == "" {
					t.Errorf("%s: of which operation is %s?", fset.Position(n.Pos()), code)
				}
				uses = append(uses, codeUse{service, operation, code, fset.Position(n.Pos()).String()})
			}
		}
		return true
	})
	return uses
}

var errorCase = regexp.MustCompile(`EqualFold\("([^"]+)"`)

// answers reports whether an operation can answer with a code, by the client's own source: the list of its errors, where the client has one for each operation, else that of the service.
// For clients of the second kind (Lambda, ECR, Kinesis, MSK, Backup, ACM PCA, Glue, Logs, …) the operations' lists were looked up in AWS's service models, as botocore has them, 2026-11.
func answers(t *testing.T, dir, operation, code string) (ok, known bool) {
	if dir == "" {
		return false, false
	}
	if text, err := os.ReadFile(filepath.Join(dir, "deserializers.go")); err == nil {
		at := regexp.MustCompile(`(?m)^func \w+_deserializeOpError` + operation + `\(`).FindIndex(text)
		if at == nil {
			t.Errorf("%s: no list of errors of %s", dir, operation)
			return false, true
		}
		body, _, _ := strings.Cut(string(text[at[1]:]), "\n}\n")
		for _, m := range errorCase.FindAllStringSubmatch(body, -1) {
			if m[1] == code {
				return true, true
			}
		}
		return false, true
	}
	text, err := os.ReadFile(filepath.Join(dir, "types", "errors.go"))
	if err != nil {
		return false, false
	}
	return strings.Contains(string(text), "return "+strconv.Quote(code)+"\n"), true
}
