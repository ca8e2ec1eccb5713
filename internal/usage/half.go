package usage

import (
	"encoding/binary"
	"time"
)

// append writes a half as readHalf reads it: texts with their lengths in front.
func (h *Half) append(out []byte) []byte {
	flags := byte(0)
	for i, set := range []bool{h.Denied, h.Acted, h.Crossed} {
		if set {
			flags |= 1 << i
		}
	}
	out = append(out, flags)
	out = binary.AppendVarint(out, h.Time.Unix())
	out = binary.AppendVarint(out, int64(h.Session))
	for _, text := range h.texts() {
		out = binary.AppendUvarint(out, uint64(len(*text)))
		out = append(out, *text...)
	}
	return out
}

func (h *Half) texts() [9]*string {
	return [9]*string{&h.ID, &h.Caller, &h.CallerAccount, &h.Action, &h.Account, &h.Target, &h.TargetAccount, &h.Network, &h.SourceIdentity}
}

// readHalf reads a half. names holds texts that came before: most are those of few callers and targets.
func readHalf(in []byte, names map[string]string) (*Half, bool) {
	if len(in) == 0 {
		return nil, false
	}
	h := &Half{Denied: in[0]&1 != 0, Acted: in[0]&2 != 0, Crossed: in[0]&4 != 0}
	in = in[1:]
	seconds, n := binary.Varint(in)
	if n <= 0 {
		return nil, false
	}
	in = in[n:]
	session, n := binary.Varint(in)
	if n <= 0 {
		return nil, false
	}
	in = in[n:]
	h.Time, h.Session = time.Unix(seconds, 0).UTC(), time.Duration(session)
	for _, text := range h.texts() {
		length, n := binary.Uvarint(in)
		if n <= 0 || length > uint64(len(in)-n) {
			return nil, false
		}
		value, known := names[string(in[n:n+int(length)])]
		if !known {
			value = string(in[n : n+int(length)])
			if text != &h.ID {
				names[value] = value
			}
		}
		*text, in = value, in[n+int(length):]
	}
	return h, len(in) == 0
}
