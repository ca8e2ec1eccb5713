package trailsql

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Columns is what a table has beside the columns that all tables of CloudTrail have.
type Columns struct {
	// Day and Account name the partitions of days (yyyy/MM/dd) and accounts; "": there are none, and a query reads the whole table.
	Day, Account string
	// IdentityProvider, SourceIdentity: useridentity has them. The table of AWS's documentation has neither.
	IdentityProvider, SourceIdentity bool
	ManagementEvent                  bool
}

// ColumnsSQL asks for the columns of a table: rows of name and type. The table may be named with its schema and catalog.
func ColumnsSQL(table string) string {
	parts := strings.Split(table, ".")
	from := "information_schema.columns"
	if len(parts) == 3 {
		from = quoted(parts[0]) + "." + from
	}
	where := "table_name = " + literal(strings.ToLower(parts[len(parts)-1]))
	if len(parts) > 1 {
		where += " AND table_schema = " + literal(strings.ToLower(parts[len(parts)-2]))
	}
	return "SELECT column_name, data_type FROM " + from + " WHERE " + where
}

var tableName = regexp.MustCompile(`^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+){0,2}$`)

// CheckTable says what is wrong with the name of a table.
func CheckTable(name string) error {
	if !tableName.MatchString(name) {
		return fmt.Errorf("%q is no name of a table like cloudtrail_logs, schema.cloudtrail_logs or catalog.schema.cloudtrail_logs", name)
	}
	return nil
}

// ErrTable is wrapped where a table is not there, or is none of CloudTrail's.
var ErrTable = errors.New("the table cannot be read as CloudTrail")

// ReadColumns reads the rows that ColumnsSQL asks for.
func ReadColumns(rows [][]string) (Columns, error) {
	types := map[string]string{}
	for _, r := range rows {
		if len(r) == 2 {
			types[strings.ToLower(r[0])] = strings.ToLower(r[1])
		}
	}
	if len(types) == 0 {
		return Columns{}, fmt.Errorf("%w: there is no table of this name, or it may not be read; 'drawbridge usage table' prints the statement that makes one", ErrTable)
	}
	var missing []string
	for _, name := range []string{"useridentity", "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress", "errorcode", "requestparameters", "eventid", "resources",
		"recipientaccountid", "sharedeventid", "eventcategory"} {
		if types[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Columns{}, fmt.Errorf("%w: it has no %s; 'drawbridge usage table' prints the statement that makes one", ErrTable, strings.Join(missing, ", "))
	}
	c := Columns{IdentityProvider: strings.Contains(types["useridentity"], "identityprovider "), SourceIdentity: strings.Contains(types["useridentity"], "sourceidentity "),
		ManagementEvent: types["managementevent"] != ""}
	for _, name := range []string{"timestamp", "day", "date", "dt"} {
		if strings.HasPrefix(types[name], "varchar") {
			c.Day = name
			break
		}
	}
	for _, name := range []string{"account", "account_id", "accountid"} {
		if strings.HasPrefix(types[name], "varchar") {
			c.Account = name
			break
		}
	}
	return c, nil
}

// Gaps are what a query over a table with these columns does not see, as sentences.
func (c Columns) Gaps() []string {
	var out []string
	if !c.IdentityProvider {
		out = append(out, "the table has no useridentity.identityprovider: OIDC and SAML subjects are known without their provider")
	}
	if !c.ManagementEvent {
		out = append(out, "the table has no managementevent: data events from before there was eventcategory are not told from others")
	}
	return out
}

// Table describes where an organisation's trail is, for the statement that makes its table.
type Table struct {
	Name         string
	Bucket       string
	Prefix       string // in front of AWSLogs; "" for none
	Organisation string // o-…; "" where the trail is one account's
	Accounts     []string
	Regions      []string
	From         time.Time // first day with files
}

// SQL is the statement that makes the table in Athena, with partitions by account, region and day that need no loading. It is the one of AWS's
// documentation ("Create the table for CloudTrail logs in Athena using partition projection") with what reduction needs beside it.
func (t *Table) SQL() (string, error) {
	if err := CheckTable(t.Name); err != nil {
		return "", err
	}
	for _, c := range []struct {
		what, value string
		form        *regexp.Regexp
	}{
		{"bucket", t.Bucket, regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)},
		{"prefix", t.Prefix, regexp.MustCompile(`^([A-Za-z0-9!_.*()/=+@:,-]*)$`)},
		{"organisation", t.Organisation, regexp.MustCompile(`^(o-[a-z0-9]{10,32})?$`)},
	} {
		if !c.form.MatchString(c.value) {
			return "", fmt.Errorf("%s %q is not formed like one", c.what, c.value)
		}
	}
	for _, list := range []struct {
		what   string
		values []string
		form   *regexp.Regexp
	}{
		{"account", t.Accounts, regexp.MustCompile(`^[0-9]{12}$`)},
		{"region", t.Regions, regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)},
	} {
		if len(list.values) == 0 {
			return "", fmt.Errorf("no %s is given: a table's partitions are by %s", list.what, list.what)
		}
		for _, v := range list.values {
			if !list.form.MatchString(v) {
				return "", fmt.Errorf("%s %q is not formed like one", list.what, v)
			}
		}
	}
	base := "s3://" + t.Bucket + "/"
	for _, part := range []string{strings.Trim(t.Prefix, "/"), "AWSLogs", t.Organisation} {
		if part != "" {
			base += part + "/"
		}
	}
	accounts, regions := slices.Clone(t.Accounts), slices.Clone(t.Regions)
	slices.Sort(accounts)
	slices.Sort(regions)
	name := "`" + strings.ReplaceAll(t.Name, ".", "`.`") + "`"
	return strings.NewReplacer("$NAME", name, "$BASE", base, "$ACCOUNTS", strings.Join(slices.Compact(accounts), ","), "$REGIONS", strings.Join(slices.Compact(regions), ","),
		"$FROM", t.From.UTC().Format("2006/01/02")).Replace(createTable), nil
}

const createTable = "CREATE EXTERNAL TABLE IF NOT EXISTS $NAME (\n" + `  eventversion STRING,
  useridentity STRUCT<
    type: STRING, principalid: STRING, arn: STRING, accountid: STRING, invokedby: STRING, accesskeyid: STRING, username: STRING, identityprovider: STRING,
    onbehalfof: STRUCT<userid: STRING, identitystorearn: STRING>,
    sessioncontext: STRUCT<
      attributes: STRUCT<mfaauthenticated: STRING, creationdate: STRING>,
      sessionissuer: STRUCT<type: STRING, principalid: STRING, arn: STRING, accountid: STRING, username: STRING>,
      ec2roledelivery: STRING, sourceidentity: STRING,
      webidfederationdata: STRUCT<federatedprovider: STRING, attributes: MAP<STRING, STRING>>>>,
  eventtime STRING,
  eventsource STRING,
  eventname STRING,
  awsregion STRING,
  sourceipaddress STRING,
  useragent STRING,
  errorcode STRING,
  errormessage STRING,
  requestparameters STRING,
  responseelements STRING,
  additionaleventdata STRING,
  requestid STRING,
  eventid STRING,
  readonly STRING,
  resources ARRAY<STRUCT<arn: STRING, accountid: STRING, type: STRING>>,
  eventtype STRING,
  apiversion STRING,
  managementevent STRING,
  recipientaccountid STRING,
  serviceeventdetails STRING,
  sharedeventid STRING,
  vpcendpointid STRING,
  vpcendpointaccountid STRING,
  eventcategory STRING,
  sessioncredentialfromconsole STRING,
  tlsdetails STRUCT<tlsversion: STRING, ciphersuite: STRING, clientprovidedhostheader: STRING>
)
` + "PARTITIONED BY (`account` STRING, `region` STRING, `timestamp` STRING)\n" + `ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '$BASE'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.account.type' = 'enum',
  'projection.account.values' = '$ACCOUNTS',
  'projection.region.type' = 'enum',
  'projection.region.values' = '$REGIONS',
  'projection.timestamp.type' = 'date',
  'projection.timestamp.format' = 'yyyy/MM/dd',
  'projection.timestamp.interval' = '1',
  'projection.timestamp.interval.unit' = 'DAYS',
  'projection.timestamp.range' = '$FROM,NOW',
  'storage.location.template' = '$BASE${account}/CloudTrail/${region}/${timestamp}'
)
`
