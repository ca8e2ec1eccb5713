package usage

// What another engine has rolled up by docs/usage.md, a query over a table of events say, comes in by these methods, under the policy of the
// builder. Its events are before they came: ids of events and days that are not kept are the other engine's to look after.

// See takes in that the trail of an account has events of a day, in a region ("" where they say none), and, where service is not "", data events of it.
func (b *Builder) See(account, region, service string, day int) {
	b.added = true
	if account == "" {
		return
	}
	s := b.account(account)
	s.days.Add(day)
	if region != "" {
		add(s.regions, region, day)
	}
	if service != "" {
		add(s.data, service, day)
	}
}

// AddAction takes in the use of an action that is counted.
func (b *Builder) AddAction(a ActionUse) {
	a.Caller = b.policy.Caller(a.Caller)
	b.Take(&Record{Actions: []ActionUse{a}})
}

// AddCrossing takes in the use of a trust that is counted. Its lists may be longer than Listed and in any order.
func (b *Builder) AddCrossing(c Crossing) {
	c.Caller = b.policy.Caller(c.Caller)
	sessions, networks, identities := c.Sessions, c.Networks, c.SourceIdentities
	c.Sessions, c.Networks, c.SourceIdentities = nil, nil, nil
	c.Sessions, c.MoreSessions = listedAll(c.Sessions, c.MoreSessions, sessions)
	if b.policy.Networks {
		c.Networks, c.MoreNetworks = listedAll(c.Networks, c.MoreNetworks, networks)
	}
	for _, name := range identities {
		if name = b.policy.SourceIdentity(name); name != "" {
			c.SourceIdentities, c.MoreIdentities = listed(c.SourceIdentities, c.MoreIdentities, name)
		}
	}
	b.Take(&Record{settled: []Crossing{c}, Crossings: []Crossing{c}})
}

// AddPending takes in a call across accounts whose other side may come yet. Acted and Crossed say what of it is counted.
func (b *Builder) AddPending(h Half) {
	h.Caller, h.SourceIdentity = b.policy.Caller(h.Caller), b.policy.SourceIdentity(h.SourceIdentity)
	if !b.policy.Networks {
		h.Network = ""
	}
	h.done()
	b.wait(&h)
}
