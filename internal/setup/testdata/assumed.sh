#!/bin/sh
# Drawbridge: entry ci-deploy in account 222222222222.
set -eu
test "$(aws sts get-caller-identity --query Account --output text)" = 222222222222 || { echo 'these credentials are of another account' >&2; exit 1; }

# The role of the entry. One that is there keeps its other policies: see whether it needs them.
if aws iam get-role --role-name 'deploy' >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name 'deploy' --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DrawbridgeBroker",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::111111111111:role/DrawbridgeBroker"
      },
      "Action": [
        "sts:AssumeRole"
      ],
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": [
            "drawbridge-ONE",
            "drawbridge-TWO"
          ]
        }
      }
    },
    {
      "Sid": "DrawbridgeBrokerSays",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::111111111111:role/DrawbridgeBroker"
      },
      "Action": [
        "sts:SetSourceIdentity",
        "sts:TagSession"
      ]
    }
  ]
}'
else
  aws iam create-role --path '/ci/' --role-name 'deploy' --assume-role-policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DrawbridgeBroker",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::111111111111:role/DrawbridgeBroker"
      },
      "Action": [
        "sts:AssumeRole"
      ],
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": [
            "drawbridge-ONE",
            "drawbridge-TWO"
          ]
        }
      }
    },
    {
      "Sid": "DrawbridgeBrokerSays",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::111111111111:role/DrawbridgeBroker"
      },
      "Action": [
        "sts:SetSourceIdentity",
        "sts:TagSession"
      ]
    }
  ]
}' --max-session-duration 3600 --permissions-boundary 'arn:aws:iam::222222222222:policy/boundary'
fi
aws iam put-role-policy --role-name 'deploy' --policy-name entry --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Entry",
      "Effect": "Allow",
      "Action": [
        "s3:GetObject",
        "s3:PutObject"
      ],
      "Resource": [
        "arn:aws:s3:::artifacts/${aws:PrincipalTag/team}/*"
      ]
    }
  ]
}'

# It cuts nothing, and keeps room for the day on which the role has none for one more deny; the broker writes it then.
aws iam get-role-policy --role-name 'deploy' --policy-name drawbridge-deny-older-sessions >/dev/null 2>&1 ||
  aws iam put-role-policy --role-name 'deploy' --policy-name drawbridge-deny-older-sessions --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DrawbridgeRevoked",
      "Effect": "Deny",
      "Action": [
        "*"
      ],
      "Resource": [
        "*"
      ],
      "Condition": {
        "DateLessThan": {
          "aws:TokenIssueTime": [
            "2000-01-01T00:00:00Z"
          ]
        }
      }
    }
  ]
}'

# By which the broker takes access back.
if aws iam get-role --role-name 'DrawbridgeRevoker' >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name 'DrawbridgeRevoker' --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DrawbridgeBroker",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::111111111111:role/DrawbridgeBroker"
      },
      "Action": [
        "sts:AssumeRole"
      ],
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": [
            "drawbridge-REVOKER"
          ]
        }
      }
    }
  ]
}'
else
  aws iam create-role --path '/' --role-name 'DrawbridgeRevoker' --assume-role-policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DrawbridgeBroker",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::111111111111:role/DrawbridgeBroker"
      },
      "Action": [
        "sts:AssumeRole"
      ],
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": [
            "drawbridge-REVOKER"
          ]
        }
      }
    }
  ]
}'
fi
aws iam put-role-policy --role-name DrawbridgeRevoker --policy-name 'ci-deploy' --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "DenyOnTargetRole",
      "Effect": "Allow",
      "Action": [
        "iam:DeleteRolePolicy",
        "iam:GetRolePolicy",
        "iam:ListRolePolicies",
        "iam:PutRolePolicy"
      ],
      "Resource": [
        "arn:aws:iam::222222222222:role/ci/deploy"
      ]
    }
  ]
}'
