# Entry ci-deploy: deploys of web. Account 222222222222.
resource "aws_iam_role" "ci_deploy" {
  name                 = "deploy"
  path                 = "/ci/"
  max_session_duration = 3600
  permissions_boundary = "arn:aws:iam::222222222222:policy/boundary"
  assume_role_policy   = <<-JSON
    {
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
    }
  JSON

  # The broker puts its denies as inline policies; they are not Terraform's.
}

resource "aws_iam_role_policy" "ci_deploy" {
  name   = "entry"
  role   = aws_iam_role.ci_deploy.name
  policy = <<-JSON
    {
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
            "arn:aws:s3:::artifacts/$${aws:PrincipalTag/team}/*"
          ]
        }
      ]
    }
  JSON
}

# It cuts nothing, and keeps room for the day on which the role has none for one more deny; the broker writes it then.
resource "aws_iam_role_policy" "ci_deploy_room" {
  name   = "drawbridge-deny-older-sessions"
  role   = aws_iam_role.ci_deploy.name
  policy = <<-JSON
    {
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
    }
  JSON
  lifecycle {
    ignore_changes = [policy]
  }
}

# By which the broker takes access back. Once in an account; add a policy for each entry.
resource "aws_iam_role" "drawbridge_revoker" {
  name               = "DrawbridgeRevoker"
  assume_role_policy = <<-JSON
    {
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
    }
  JSON
}

resource "aws_iam_role_policy" "drawbridge_revoker_ci_deploy" {
  name   = "ci-deploy"
  role   = aws_iam_role.drawbridge_revoker.name
  policy = <<-JSON
    {
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
    }
  JSON
}
