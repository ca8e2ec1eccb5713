// Package trinotest runs a real Trino for tests: the server that .ci/trino put together, on the JDK of the machine, with a Hive catalog over an S3 in
// memory, so that tables of CloudTrail files have the types, partitions and projection that they have in Athena.
package trinotest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/cloudtrail/s3test"
)

// Server is a Trino and the S3 that it reads.
type Server struct {
	URL string // with catalog and schema
	S3  *s3test.Server
}

// Bucket holds the files of the tables and the catalog.
const Bucket = "trail"

// Start runs a Trino until the test ends. DRAWBRIDGE_TRINO names the folder of the server; the test is skipped where it is not set.
func Start(t *testing.T) *Server {
	t.Helper()
	home := os.Getenv("DRAWBRIDGE_TRINO")
	if home == "" {
		t.Skip("skipped: DRAWBRIDGE_TRINO names no Trino: run 'make trino'")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	s := &Server{URL: fmt.Sprintf("http://127.0.0.1:%d/hive/default", port), S3: s3test.New()}
	t.Cleanup(s.S3.Close)
	s.S3.Put(Bucket, "begin", nil)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/config.properties", fmt.Sprintf(`node.id=test
node.environment=test
plugin.dir=%s
catalog.config-dir=etc/catalog
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port=%d
discovery.uri=http://127.0.0.1:%d
`, filepath.Join(home, "plugin"), port, port))
	write("etc/catalog/hive.properties", fmt.Sprintf(`connector.name=hive
hive.metastore=file
hive.metastore.catalog.dir=s3://%s/catalog
hive.security=allow-all
hive.non-managed-table-writes-enabled=true
hive.partition-projection-enabled=true
fs.hadoop.enabled=false
fs.native-s3.enabled=true
s3.endpoint=%s
s3.region=us-east-1
s3.path-style-access=true
s3.aws-access-key=x
s3.aws-secret-key=y
`, Bucket, s.S3.URL))
	var log bytes.Buffer
	ctx, stop := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, "java", "-Xmx1500m", "-XX:+UseSerialGC", "-Djdk.attach.allowAttachSelf=true", "-Dconfig=etc/config.properties",
		"-cp", filepath.Join(home, "lib", "*")+string(os.PathListSeparator)+home, "Start")
	server.Dir, server.Stdout, server.Stderr = dir, &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("the end of Trino's log:\n%s", tail(log.String(), 3000))
		}
	})
	for {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Trino ended: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		if started(port) {
			return s
		}
	}
}

// started is whether the server answers that it takes queries.
func started(port int) bool {
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/v1/info", port))
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var info struct{ Starting *bool }
	return json.NewDecoder(response.Body).Decode(&info) == nil && info.Starting != nil && !*info.Starting
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// Table is the statement that makes, in this Trino, the table that trailsql.Table describes: the same columns and partitions, over lines of JSON, because the
// input format that takes CloudTrail's files apart is AWS's own.
func Table(name, accounts, regions, from string) string {
	list := func(s string) string { return "ARRAY['" + strings.ReplaceAll(s, ",", "', '") + "']" }
	return strings.NewReplacer("$NAME", name, "$ACCOUNTS", list(accounts), "$REGIONS", list(regions), "$FROM", from, "$BUCKET", Bucket).Replace(`CREATE TABLE $NAME (
  eventversion varchar,
  useridentity ROW(type varchar, principalid varchar, arn varchar, accountid varchar, invokedby varchar, accesskeyid varchar, username varchar, identityprovider varchar,
    onbehalfof ROW(userid varchar, identitystorearn varchar),
    sessioncontext ROW(attributes ROW(mfaauthenticated varchar, creationdate varchar), sessionissuer ROW(type varchar, principalid varchar, arn varchar, accountid varchar, username varchar),
      ec2roledelivery varchar, sourceidentity varchar, webidfederationdata ROW(federatedprovider varchar, attributes MAP(varchar, varchar)))),
  eventtime varchar, eventsource varchar, eventname varchar, awsregion varchar, sourceipaddress varchar, useragent varchar, errorcode varchar, errormessage varchar,
  requestparameters varchar, responseelements varchar, additionaleventdata varchar, requestid varchar, eventid varchar, readonly varchar,
  resources ARRAY(ROW(arn varchar, accountid varchar, type varchar)), eventtype varchar, apiversion varchar, managementevent varchar, recipientaccountid varchar,
  serviceeventdetails varchar, sharedeventid varchar, vpcendpointid varchar, vpcendpointaccountid varchar, eventcategory varchar, sessioncredentialfromconsole varchar,
  tlsdetails ROW(tlsversion varchar, ciphersuite varchar, clientprovidedhostheader varchar),
  "account" varchar WITH (partition_projection_type = 'enum', partition_projection_values = $ACCOUNTS),
  "region" varchar WITH (partition_projection_type = 'enum', partition_projection_values = $REGIONS),
  "timestamp" varchar WITH (partition_projection_type = 'date', partition_projection_format = 'yyyy/MM/dd', partition_projection_range = ARRAY['$FROM', 'NOW'],
    partition_projection_interval = 1, partition_projection_interval_unit = 'DAYS')
) WITH (format = 'OPENX_JSON', external_location = 's3://$BUCKET/AWSLogs/', partitioned_by = ARRAY['account', 'region', 'timestamp'], partition_projection_enabled = true,
  partition_projection_location_template = 's3://$BUCKET/AWSLogs/${account}/CloudTrail/${region}/${timestamp}/')`)
}
