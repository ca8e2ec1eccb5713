package usage

// Services are the event sources of CloudTrail, without their domain, that are not what the actions of the service have in front.
// Source: Service Authorization Reference (the prefixes); CloudTrail User Guide (the sources of CloudWatch, Simple Email Service and the Resource
// Groups Tagging API).
var Services = map[string]string{
	"application-insights": "applicationinsights", "email": "ses", "monitoring": "cloudwatch", "servicecatalog-appregistry": "servicecatalog", "tagging": "tag",
}

// Service is what actions have in front of which CloudTrail names an event source: the first part of its domain, which it mostly is itself.
func Service(source string) string {
	if s, ok := Services[source]; ok {
		return s
	}
	return source
}
