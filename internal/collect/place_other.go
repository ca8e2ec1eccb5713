//go:build !linux

package collect

func exchange(fresh, old string) error { return exchangeByTwo(fresh, old) }
