package gate

// Everywhere makes a judgement look for completed ways onto every resource.
func Everywhere(o Options) Options {
	o.everywhere = true
	return o
}
