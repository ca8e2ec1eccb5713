package cond

import "testing"

// A resource that a template matches with no value of its variables is known not to match.
func TestMatchResourceWithoutValues(t *testing.T) {
	template, err := CompileTemplate("arn:aws:s3:::home/${aws:username}/*")
	if err != nil {
		t.Fatal(err)
	}
	nothing := &Context{Rest: Undetermined}
	ann := &Context{}
	ann.Set("aws:username", "ann")
	for _, tt := range []struct {
		ctx      *Context
		resource string
		want     Truth
	}{
		{nothing, "arn:aws:s3:::home/ann/letter", Unknown},
		{nothing, "arn:aws:s3:::home/ann", False},
		{nothing, "arn:aws:s3:::data/ann/letter", False},
		{nothing, "arn:aws:sqs:eu-west-1:111122223333:home/ann/letter", False},
		{ann, "arn:aws:s3:::home/ann/letter", True},
		{ann, "arn:aws:s3:::home/bob/letter", False},
		{&Context{}, "arn:aws:s3:::home/ann/letter", False}, // without the variable nothing matches (rule 76)
	} {
		if got := template.MatchResource(tt.ctx, tt.resource); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.resource, got, tt.want)
		}
	}
}
