#!/bin/sh
# Drawbridge's quarantine: one service control policy that denies everything to a list of source identities, empty until the broker writes one into it,
# and the role by which it does. It takes one of the five places that a target has for service control policies; it does not bind the management account.
set -eu
test "$(aws sts get-caller-identity --query Account --output text)" = 111111111111 || { echo 'these credentials are of another account' >&2; exit 1; }

aws iam get-open-id-connect-provider --open-id-connect-provider-arn 'arn:aws:iam::111111111111:oidc-provider/broker.example' >/dev/null 2>&1 ||
  aws iam create-open-id-connect-provider --url 'https://broker.example' --client-id-list 'sts.amazonaws.com'

policy=$(aws organizations list-policies --filter SERVICE_CONTROL_POLICY --query "Policies[?Name=='drawbridge-quarantine'].Id" --output text)
if [ -z "$policy" ]; then
  policy=$(aws organizations create-policy --type SERVICE_CONTROL_POLICY --name drawbridge-quarantine --description 'Sessions that Drawbridge has taken back' --content '{"Version":"2012-10-17","Statement":[{"Sid":"DrawbridgeQuarantine","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceIdentity":["drawbridge-nobody"]}}}]}' --query Policy.PolicySummary.Id --output text)
fi
arn=$(aws organizations describe-policy --policy-id "$policy" --query Policy.PolicySummary.Arn --output text)
attached=$(aws organizations list-targets-for-policy --policy-id "$policy" --query 'Targets[].TargetId' --output text)
for target in r-abcd ou-abcd-11111111; do
  case " $(echo $attached) " in
  *" $target "*) ;;
  *) aws organizations attach-policy --policy-id "$policy" --target-id "$target" ;;
  esac
done

if aws iam get-role --role-name DrawbridgeQuarantine >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name DrawbridgeQuarantine --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DrawbridgeBroker",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::111111111111:oidc-provider/broker.example"
      },
      "Action": [
        "sts:AssumeRoleWithWebIdentity",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "broker.example:aud": [
            "sts.amazonaws.com"
          ],
          "broker.example:sub": [
            "drawbridge:quarantine"
          ]
        }
      }
    }
  ]
}'
else
  aws iam create-role --role-name DrawbridgeQuarantine --assume-role-policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DrawbridgeBroker",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::111111111111:oidc-provider/broker.example"
      },
      "Action": [
        "sts:AssumeRoleWithWebIdentity",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "broker.example:aud": [
            "sts.amazonaws.com"
          ],
          "broker.example:sub": [
            "drawbridge:quarantine"
          ]
        }
      }
    }
  ]
}'
fi
aws iam put-role-policy --role-name DrawbridgeQuarantine --policy-name quarantine --policy-document "$(cat <<END
{
  "Statement": [
    {
      "Action": [
        "organizations:DescribePolicy",
        "organizations:UpdatePolicy",
        "organizations:ListTargetsForPolicy"
      ],
      "Effect": "Allow",
      "Resource": "$arn",
      "Sid": "ThisPolicy"
    },
    {
      "Action": [
        "organizations:DescribeOrganization",
        "organizations:ListParents"
      ],
      "Effect": "Allow",
      "Resource": "*",
      "Sid": "WhatItBinds"
    }
  ],
  "Version": "2012-10-17"
}
END
)"

echo "quarantine: {policy: $policy, role: arn:aws:iam::111111111111:role/DrawbridgeQuarantine}"
