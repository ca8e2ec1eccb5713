package rule

// WithDefaults fills the parameters that are not set.
func (p Parameters) WithDefaults() Parameters {
	or := func(v *int, preset int) {
		if *v == 0 {
			*v = preset
		}
	}
	or(&p.MaxSessionSeconds, 3600)
	or(&p.MaxHops, 1)
	or(&p.ReviewDays, 90)
	or(&p.StaleDays, 90)
	or(&p.NeverUsedDays, 30)
	or(&p.BreakGlassDrillDays, 180)
	or(&p.ChainedSessionSeconds, 3600)
	or(&p.ExternalIDMinLength, 16)
	or(&p.WideOrgMembers, 10)
	or(&p.DataDays, 7)
	if p.EnvClass == nil {
		p.EnvClass = map[string]int{"sandbox": 0, "dev": 1, "staging": 1, "shared": 2, "prod": 2, "security": 2}
	}
	if p.CriticalTagKey == "" {
		p.CriticalTagKey, p.CriticalTagValue = "criticality", "high"
	}
	return p
}
