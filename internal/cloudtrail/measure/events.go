package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"
)

// write makes one file as CloudTrail delivers it: events of one account, of the kinds and about the size that trails hold. There are 100 accounts; those
// of files 0 to 99 come again in the files after them, later.
func write(name string, file, events int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(f)
	w := bufio.NewWriter(packed)
	w.WriteString(`{"Records":[`)
	for n := range events {
		if n > 0 {
			w.WriteByte(',')
		}
		event(w, uint64(file%accounts), uint64(file*events+n), uint64(file/accounts*events+n))
	}
	w.WriteString(`]}`)
	if err := w.Flush(); err != nil { // the first error of all writes
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return f.Close()
}

// scatter spreads numbers that follow each other: the ids in real events do not compress.
func scatter(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// guid is an id as AWS makes them.
func guid(n uint64) string {
	a, b := scatter(n), scatter(n+1<<63)
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}

// token is as long as the session tokens that AWS writes into events, and compresses as little.
func token(n uint64) string {
	var b [264]byte
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], scatter(n+uint64(i)))
	}
	return base64.StdEncoding.EncodeToString(b[:])
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const accounts = 100

// event writes event number n, of an account, at a moment. One in twenty is a side of a call across accounts, whose other side is in the trail of
// the neighbour; three in twenty assume a role of their own account, as services do all day; one in fifty is refused.
func event(w *bufio.Writer, account, n, moment uint64) {
	x := scatter(n)
	from, neighbour, role := 100000000000+account, 100000000000+account^1, x>>16%40
	at := start.Add(time.Duration(moment) * 3 * time.Second).Format(time.RFC3339)
	crosses, shared := moment%20 == 0, ""
	if crosses { // both sides must come to the same call
		call := moment<<32 | account>>1
		shared, role = guid(call), scatter(call)>>16%40
	}
	if crosses && account%2 == 1 {
		fmt.Fprintf(w, `{"eventVersion":"1.09","userIdentity":{"type":"AWSAccount","principalId":"AROA%016X:run-%d","accountId":"%d"},"eventTime":"%s","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.%d",`+
			`"userAgent":"aws-sdk-go-v2/1.36.3 os/linux lang/go#1.24.1 md/GOOS#linux md/GOARCH#arm64 api/sts#1.33.17 m/E,n",`, scatter(role), n, neighbour, at, x%250)
	} else {
		fmt.Fprintf(w, `{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROA%016X:run-%d","arn":"arn:aws:sts::%d:assumed-role/service-%d/run-%d","accountId":"%d","accessKeyId":"ASIA%016X",`+
			`"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA%016X","arn":"arn:aws:iam::%d:role/service-%d","accountId":"%d","userName":"service-%d"},"attributes":{"creationDate":"%s","mfaAuthenticated":"false"}}},`+
			`"eventTime":"%s","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.%d","userAgent":"aws-sdk-go-v2/1.36.3 os/linux lang/go#1.24.1 md/GOOS#linux md/GOARCH#arm64 api/sts#1.33.17 m/E,n",`,
			scatter(role), n, from, role, n, from, x, scatter(role), from, role, from, role, at, at, x%250)
	}
	if x>>40%50 == 0 {
		w.WriteString(`"errorCode":"AccessDenied","errorMessage":"User is not authorized to perform this action on the resource because no identity-based policy allows it",`)
	}
	switch kind := x >> 32 % 20; {
	case crosses || kind < 3:
		to := from
		if crosses && account%2 == 0 {
			to = neighbour
		}
		fmt.Fprintf(w, `"eventSource":"sts.amazonaws.com","eventName":"AssumeRole","requestParameters":{"roleArn":"arn:aws:iam::%d:role/target-%d","roleSessionName":"run-%d","durationSeconds":3600},`+
			`"responseElements":{"credentials":{"accessKeyId":"ASIA%016X","sessionToken":"%s","expiration":"Jan 1, 2026, 1:00:00 PM"},"assumedRoleUser":{"assumedRoleId":"AROA%016X:run-%d","arn":"arn:aws:sts::%d:assumed-role/target-%d/run-%d"}},`+
			`"resources":[{"accountId":"%d","type":"AWS::IAM::Role","ARN":"arn:aws:iam::%d:role/target-%d"}],`,
			to, role, n, x+1, token(x), scatter(role+99), n, to, role, n, to, to, role)
		if crosses {
			fmt.Fprintf(w, `"sharedEventID":"%s",`, shared)
		}
	case kind < 8:
		fmt.Fprintf(w, `"eventSource":"kms.amazonaws.com","eventName":"Decrypt","requestParameters":{"encryptionContext":{"tenant":"t-%d","purpose":"orders \"%d\""},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"},"responseElements":null,`+
			`"resources":[{"accountId":"%d","type":"AWS::KMS::Key","ARN":"arn:aws:kms:eu-west-1:%d:key/%016x"}],`, x%90, n, from, from, scatter(role))
	default:
		fmt.Fprintf(w, `"eventSource":"s3.amazonaws.com","eventName":"GetObject","requestParameters":{"bucketName":"orders-%d","Host":"orders-%d.s3.eu-west-1.amazonaws.com","key":"2026/01/%016x.parquet","x-id":"GetObject"},"responseElements":null,`+
			`"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"%016x%016x%016x","bytesTransferredOut":%d},`+
			`"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::orders-%d/2026/01/%016x.parquet"},{"accountId":"%d","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::orders-%d"}],`,
			role, role, x, x*3, x*5, x*7, x%9000000, role, x, from, role)
	}
	fmt.Fprintf(w, `"requestID":"%s","eventID":"%s","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"%d","eventCategory":"Management",`+
		`"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"sts.eu-west-1.amazonaws.com"}}`, guid(x*11), guid(x), from)
}
