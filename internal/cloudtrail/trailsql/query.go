// Package trailsql is the reduction of CloudTrail as SQL, for the table of an organisation's trail in Athena or Trino: the statement that makes
// the table, the query that rolls its events up, and how the rows of the answer become recorded use. What it derives from an event is docs/usage.md's
// "How a record comes from events"; tests hold it against the reader of files. It opens no connection.
package trailsql

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/usage"
)

// Query asks for the roll-up of some days of a table.
type Query struct {
	Table    string // name, schema.name or catalog.schema.name
	Columns  Columns
	From, To time.Time // first and last day (UTC), both included; only the day counts
	Accounts []string  // whose trails: all where it is empty
	Policy   usage.Policy
}

// quoted is a name in SQL: each part in quotes, so that no name is taken for SQL.
func quoted(name string) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
	}
	return strings.Join(parts, ".")
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func literals(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, literal(s))
	}
	return strings.Join(out, ", ")
}

// where narrows the table to the days and accounts, by its partitions where it has them. A file is laid down under the day of its delivery, which may be
// the day after its events'.
func (q *Query) where() string {
	var out []string
	from, to := q.From.UTC().Format(time.DateOnly), q.To.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	if c := q.Columns.Day; c != "" {
		dash := strings.NewReplacer("-", "/")
		out = append(out, fmt.Sprintf(`%s BETWEEN '%s' AND '%s'`, quoted(c), dash.Replace(from), dash.Replace(to)))
	}
	if len(q.Accounts) > 0 {
		if c := q.Columns.Account; c != "" {
			out = append(out, fmt.Sprintf("%s IN (%s)", quoted(c), literals(q.Accounts)))
		}
	}
	// The texts of times are in the order of the times; what is not written in UTC is looked at by its time.
	out = append(out, fmt.Sprintf("(eventtime >= '%s' AND eventtime < '%s' OR NOT regexp_like(coalesce(eventtime, ''), '^%s$'))", from, to, utc))
	return strings.Join(out, "\n    AND ")
}

const (
	utc     = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z`
	rfc3339 = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})`
)

// SQL is the query. Its rows are those that Read reads. It reads the table once: CTEs that were used twice would be computed, and paid for, twice.
func (q *Query) SQL() string {
	provider, identity, data := "''", "''", "coalesce(eventcategory, '') = 'Data'"
	if q.Columns.IdentityProvider {
		provider = "coalesce(useridentity.identityprovider, '')"
	}
	if q.Policy.SourceIdentities != usage.Drop {
		identity = "CASE WHEN assumes THEN coalesce(nullif(session_identity, ''), requested_identity) ELSE session_identity END"
	}
	session := "''"
	if q.Columns.SourceIdentity {
		session = "coalesce(useridentity.sessioncontext.sourceidentity, '')"
	}
	if q.Columns.ManagementEvent {
		data = "(" + data + " OR coalesce(eventcategory, '') = '' AND CAST(managementevent AS varchar) = 'false')"
	}
	network := "''"
	if q.Policy.Networks {
		network = networkSQL
	}
	of := ""
	if len(q.Accounts) > 0 {
		of = " AND account IN (" + literals(q.Accounts) + ")"
	}
	return strings.NewReplacer("$OF", of, "$TABLE", quoted(q.Table), "$WHERE", q.where(), "$PROVIDER", provider, "$SESSIONIDENTITY", session, "$IDENTITY", identity, "$DATA", data,
		"$SERVICE", serviceSQL(), "$NETWORK", network, "$RFC3339", rfc3339, "$FROM", q.From.UTC().Format(time.DateOnly), "$TO", q.To.UTC().Format(time.DateOnly), "$WAITING", fmt.Sprint(usage.Waiting)).Replace(reduction)
}

// networkSQL is usage.Network: of an address its first bytes, of a host of AWS the host. An IPv6 /48 is three groups with the zeros behind them left out.
const networkSQL = `CASE
      WHEN bytes LIKE '00000000000000000000FFFF%' THEN array_join(transform(sequence(25, 29, 2), i -> CAST(from_base(substr(bytes, i, 2), 16) AS varchar)), '.') || '.0/24'
      WHEN bytes IS NOT NULL THEN regexp_replace(array_join(transform(sequence(1, 9, 4), i -> to_base(from_base(substr(bytes, i, 4), 16), 16)), ':') || '::/48', '(^|:)0(:0)*::/48$', '::/48')
      WHEN lower(source) = 'aws internal' OR length(source) < 256 AND regexp_like(lower(source), '[.]amazonaws[.]com([.]cn)?$') THEN lower(source)
      ELSE '' END`

// serviceSQL is usage.Service.
func serviceSQL() string {
	label := "split_part(coalesce(eventsource, ''), '.', 1)"
	sql := "CASE " + label
	for _, source := range slices.Sorted(maps.Keys(usage.Services)) {
		sql += " WHEN '" + source + "' THEN '" + usage.Services[source] + "'"
	}
	return sql + " ELSE " + label + " END"
}

const reduction = `WITH source AS (
  SELECT coalesce(eventid, '') AS id, coalesce(sharedeventid, '') AS shared, coalesce(eventname, '') AS name, coalesce(awsregion, '') AS region,
    coalesce(recipientaccountid, '') AS recipient, coalesce(errorcode, '') AS code, coalesce(sourceipaddress, '') AS source,
    $SERVICE AS service, $DATA AS data, resources,
    try(to_unixtime(from_iso8601_timestamp(CASE WHEN regexp_like(eventtime, '^$RFC3339$') THEN eventtime END))) AS seconds,
    coalesce(useridentity.type, '') AS type, coalesce(useridentity.arn, '') AS arn, coalesce(useridentity.accountid, '') AS owner,
    coalesce(useridentity.username, '') AS username, coalesce(useridentity.invokedby, '') AS invokedby, $PROVIDER AS provider,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, '') AS issuer, $SESSIONIDENTITY AS session_identity,
    try(json_parse(requestparameters)) AS parameters,
    to_hex(CAST(try(CAST(CASE WHEN strpos(sourceipaddress, ':') > 0 THEN split_part(sourceipaddress, '%', 1) ELSE sourceipaddress END AS ipaddress)) AS varbinary)) AS bytes
  FROM $TABLE
  WHERE $WHERE
), named AS (
  SELECT id, shared, service, name, region, code, data, resources, parameters, source, bytes, session_identity, type, seconds,
    service <> '' AND name <> '' AND coalesce(seconds >= 1356998400 AND seconds < 4102444800, false) AS understood,
    service = 'sts' AND name LIKE 'AssumeRole%' AS assumes,
    CASE WHEN type IN ('AWSService', 'WebIdentityUser', 'SAMLUser') THEN '' ELSE owner END AS caller_account,
    recipient, provider,
    CASE type WHEN 'AssumedRole' THEN issuer WHEN 'IAMUser' THEN arn WHEN 'Root' THEN arn WHEN 'FederatedUser' THEN coalesce(nullif(issuer, ''), arn)
      WHEN 'AWSService' THEN invokedby WHEN 'SAMLUser' THEN provider
      WHEN 'WebIdentityUser' THEN 'oidc:' || regexp_replace(CASE WHEN strpos(provider, ':oidc-provider/') > 0 THEN substr(provider, strpos(provider, ':oidc-provider/') + 15) ELSE provider END, '^https://', '') || ':' || username
      ELSE '' END AS caller,
    json_format(json_extract(parameters, '$.roleArn')) AS role, json_format(json_extract(parameters, '$.sourceIdentity')) AS requested,
    trim(BOTH '"' FROM json_format(json_extract(parameters, '$.durationSeconds'))) AS duration
  FROM source
), event AS (
  SELECT id, shared, service, service || ':' || name AS action, region, data, caller, caller_account, assumes, understood, CAST(floor(seconds) AS bigint) AS seconds,
    CASE WHEN recipient <> '' THEN recipient ELSE caller_account END AS account,
    code IN ('AccessDenied', 'AccessDeniedException', 'UnauthorizedAccess') OR code LIKE '%UnauthorizedOperation' AS denied,
    CASE WHEN assumes AND role LIKE '"%' THEN json_extract_scalar(parameters, '$.roleArn') ELSE '' END AS role,
    CASE WHEN requested LIKE '"%' THEN json_extract_scalar(parameters, '$.sourceIdentity') ELSE '' END AS requested_identity, session_identity,
    CASE WHEN assumes AND regexp_like(duration, '^[0-9]+$') AND try_cast(duration AS bigint) <= 1000000000 THEN try_cast(duration AS bigint) ELSE 0 END AS session,
    CASE WHEN NOT assumes THEN element_at(filter(resources, r -> r.accountid <> '' AND r.accountid <> caller_account AND r.arn <> ''), 1) END AS resource,
    $NETWORK AS network
  FROM named
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY id, account, seconds, CASE WHEN id = '' THEN uuid() END) AS copy
  FROM event
  WHERE (NOT understood OR seconds >= to_unixtime(TIMESTAMP '$FROM 00:00:00 UTC') AND seconds < to_unixtime(TIMESTAMP '$TO 00:00:00 UTC') + 86400)$OF
), targeted AS (
  SELECT id, shared, service, action, region, data, caller, caller_account, account, denied, seconds, session, network, copy, understood,
    $IDENTITY AS identity,
    CASE WHEN assumes THEN role ELSE coalesce(resource.arn, '') END AS target,
    CASE WHEN NOT assumes THEN coalesce(resource.accountid, '') WHEN cardinality(split(role, ':')) >= 6 THEN split_part(role, ':', 5) ELSE '' END AS target_account
  FROM ranked
), part AS (
  SELECT p.kind, p.k1, p.k2, p.k3, t.*
  FROM targeted t CROSS JOIN UNNEST(ARRAY[
    CASE WHEN NOT understood THEN CAST(ROW('odd', '', '', '') AS ROW(kind varchar, k1 varchar, k2 varchar, k3 varchar))
      WHEN copy = 1 THEN CAST(ROW('seen', account, region, CASE WHEN data THEN service ELSE '' END) AS ROW(kind varchar, k1 varchar, k2 varchar, k3 varchar)) END,
    CASE WHEN NOT understood OR copy > 1 THEN NULL
      WHEN shared = '' THEN CAST(ROW('call', CAST(uuid() AS varchar), '', '') AS ROW(kind varchar, k1 varchar, k2 varchar, k3 varchar))
      WHEN caller <> '' OR target <> '' AND (action LIKE 'sts:AssumeRole%' OR caller_account <> '' AND target_account <> '' AND caller_account <> target_account)
        THEN CAST(ROW('call', shared, 'shared', '') AS ROW(kind varchar, k1 varchar, k2 varchar, k3 varchar)) END
    ]) AS p (kind, k1, k2, k3)
  WHERE p.kind IS NOT NULL
), joined AS (
  SELECT kind, k1, k2, k3, count(*) AS n, min(seconds) AS seconds, array_agg(DISTINCT seconds / 86400) FILTER (WHERE kind = 'seen') AS days,
    coalesce(min(nullif(caller, '')), '') AS caller, coalesce(min(nullif(caller_account, '')), '') AS caller_account,
    coalesce(min(nullif(action, '')), '') AS action, coalesce(min(nullif(account, '')), '') AS account,
    coalesce(min(nullif(target, '')), '') AS target, coalesce(min(nullif(target_account, '')), '') AS target_account,
    bool_or(denied) AS denied, max(session) AS session, coalesce(min(nullif(network, '')), '') AS network, coalesce(min(nullif(identity, '')), '') AS identity
  FROM part GROUP BY kind, k1, k2, k3
), newest AS (
  SELECT *, kind = 'call' AND target <> '' AND (action LIKE 'sts:AssumeRole%' OR caller_account <> '' AND target_account <> '' AND caller_account <> target_account) AS crosses,
    k2 = 'shared' AND kind = 'call' AND row_number() OVER (PARTITION BY CASE WHEN kind = 'call' AND k2 = 'shared' THEN '' ELSE kind || k1 || k2 || k3 END ORDER BY seconds DESC, k1) <= $WAITING AS waits
  FROM joined
), said AS (
  SELECT r.what, r.a, r.b, r.c, n.*
  FROM newest n CROSS JOIN UNNEST(ARRAY[
    CASE WHEN kind <> 'call' THEN CAST(ROW(kind, k1, k2, k3) AS ROW(what varchar, a varchar, b varchar, c varchar)) END,
    CASE WHEN kind = 'call' AND caller <> '' THEN CAST(ROW('action', caller, action, coalesce(nullif(target_account, ''), account)) AS ROW(what varchar, a varchar, b varchar, c varchar)) END,
    CASE WHEN crosses AND (caller <> '' OR caller_account <> '' AND NOT waits)
      THEN CAST(ROW('crossing', coalesce(nullif(caller, ''), caller_account), target, regexp_replace(action, '^sts:', '')) AS ROW(what varchar, a varchar, b varchar, c varchar)) END,
    CASE WHEN waits THEN CAST(ROW('pending', k1, '', '') AS ROW(what varchar, a varchar, b varchar, c varchar)) END
    ]) AS r (what, a, b, c)
  WHERE r.what IS NOT NULL
)
SELECT what, a, b, c, CAST(sum(n) AS varchar) AS n,
  CAST(count_if(NOT denied) AS varchar) AS used, CAST(count_if(denied) AS varchar) AS denied,
  CAST(min(seconds) AS varchar) AS first_at, CAST(max(seconds) FILTER (WHERE NOT denied) AS varchar) AS last_at, CAST(max(seconds) FILTER (WHERE denied) AS varchar) AS last_denied,
  json_format(CAST(CASE WHEN what = 'seen' THEN arbitrary(days) ELSE array_agg(DISTINCT seconds / 86400) FILTER (WHERE what IN ('action', 'crossing') AND NOT denied) END AS json)) AS days,
  json_format(CAST(array_agg(DISTINCT session) FILTER (WHERE what IN ('crossing', 'pending') AND session > 0) AS json)) AS sessions,
  json_format(CAST(array_agg(DISTINCT network) FILTER (WHERE what IN ('crossing', 'pending') AND network <> '') AS json)) AS networks,
  json_format(CAST(array_agg(DISTINCT identity) FILTER (WHERE what IN ('crossing', 'pending') AND identity <> '') AS json)) AS identities,
  CASE WHEN what = 'pending' THEN json_format(CAST(map(ARRAY['crosses', 'caller', 'callerAccount', 'action', 'account', 'target', 'targetAccount'],
    arbitrary(ARRAY[CASE WHEN crosses THEN 'true' ELSE '' END, caller, caller_account, action, account, target, target_account])) AS json)) END AS half
FROM said GROUP BY what, a, b, c`
