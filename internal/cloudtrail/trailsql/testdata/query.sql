WITH source AS (
  SELECT coalesce(eventid, '') AS id, coalesce(sharedeventid, '') AS shared, coalesce(eventname, '') AS name, coalesce(awsregion, '') AS region,
    coalesce(recipientaccountid, '') AS recipient, coalesce(errorcode, '') AS code, coalesce(sourceipaddress, '') AS source,
    CASE split_part(coalesce(eventsource, ''), '.', 1) WHEN 'application-insights' THEN 'applicationinsights' WHEN 'email' THEN 'ses' WHEN 'monitoring' THEN 'cloudwatch' WHEN 'servicecatalog-appregistry' THEN 'servicecatalog' WHEN 'tagging' THEN 'tag' ELSE split_part(coalesce(eventsource, ''), '.', 1) END AS service, (coalesce(eventcategory, '') = 'Data' OR coalesce(eventcategory, '') = '' AND CAST(managementevent AS varchar) = 'false') AS data, resources,
    try(to_unixtime(from_iso8601_timestamp(CASE WHEN regexp_like(eventtime, '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$') THEN eventtime END))) AS seconds,
    coalesce(useridentity.type, '') AS type, coalesce(useridentity.arn, '') AS arn, coalesce(useridentity.accountid, '') AS owner,
    coalesce(useridentity.username, '') AS username, coalesce(useridentity.invokedby, '') AS invokedby, coalesce(useridentity.identityprovider, '') AS provider,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, '') AS issuer, coalesce(useridentity.sessioncontext.sourceidentity, '') AS session_identity,
    try(json_parse(requestparameters)) AS parameters,
    to_hex(CAST(try(CAST(CASE WHEN strpos(sourceipaddress, ':') > 0 THEN split_part(sourceipaddress, '%', 1) ELSE sourceipaddress END AS ipaddress)) AS varbinary)) AS bytes
  FROM "cat"."security"."cloudtrail_logs"
  WHERE "timestamp" BETWEEN '2026/01/01' AND '2026/01/08'
    AND "account" IN ('111122223333')
    AND (eventtime >= '2026-01-01' AND eventtime < '2026-01-08' OR NOT regexp_like(coalesce(eventtime, ''), '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$'))
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
    CASE
      WHEN bytes LIKE '00000000000000000000FFFF%' THEN array_join(transform(sequence(25, 29, 2), i -> CAST(from_base(substr(bytes, i, 2), 16) AS varchar)), '.') || '.0/24'
      WHEN bytes IS NOT NULL THEN regexp_replace(array_join(transform(sequence(1, 9, 4), i -> to_base(from_base(substr(bytes, i, 4), 16), 16)), ':') || '::/48', '(^|:)0(:0)*::/48$', '::/48')
      WHEN lower(source) = 'aws internal' OR length(source) < 256 AND regexp_like(lower(source), '[.]amazonaws[.]com([.]cn)?$') THEN lower(source)
      ELSE '' END AS network
  FROM named
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY id, account, seconds, CASE WHEN id = '' THEN uuid() END) AS copy
  FROM event
  WHERE (NOT understood OR seconds >= to_unixtime(TIMESTAMP '2026-01-01 00:00:00 UTC') AND seconds < to_unixtime(TIMESTAMP '2026-01-07 00:00:00 UTC') + 86400) AND account IN ('111122223333')
), targeted AS (
  SELECT id, shared, service, action, region, data, caller, caller_account, account, denied, seconds, session, network, copy, understood,
    '' AS identity,
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
    k2 = 'shared' AND kind = 'call' AND row_number() OVER (PARTITION BY CASE WHEN kind = 'call' AND k2 = 'shared' THEN '' ELSE kind || k1 || k2 || k3 END ORDER BY seconds DESC, k1) <= 50000 AS waits
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
FROM said GROUP BY what, a, b, c
