# Drawbridge's quarantine: one service control policy that denies everything to a list of source identities, empty until the broker writes one into it,
# and the role by which it does. It takes one of the five places that a target has for service control policies; it does not bind the management account.

# Leave it out where the account has the broker as an identity provider already.
resource "aws_iam_openid_connect_provider" "drawbridge" {
  url            = "https://broker.example"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_organizations_policy" "drawbridge_quarantine" {
  name    = "drawbridge-quarantine"
  type    = "SERVICE_CONTROL_POLICY"
  content = <<-JSON
    {"Version":"2012-10-17","Statement":[{"Sid":"DrawbridgeQuarantine","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceIdentity":["drawbridge-nobody"]}}}]}
  JSON
  # The list is the broker's.
  lifecycle {
    ignore_changes = [content]
  }
}

resource "aws_organizations_policy_attachment" "drawbridge_quarantine" {
  for_each  = toset(["r-abcd", "ou-abcd-11111111"])
  policy_id = aws_organizations_policy.drawbridge_quarantine.id
  target_id = each.value
}

resource "aws_iam_role" "drawbridge_quarantine" {
  name               = "DrawbridgeQuarantine"
  assume_role_policy = <<-JSON
    {
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
    }
  JSON
  depends_on         = [aws_iam_openid_connect_provider.drawbridge]
}

resource "aws_iam_role_policy" "drawbridge_quarantine" {
  name   = "quarantine"
  role   = aws_iam_role.drawbridge_quarantine.name
  policy = <<-JSON
    {
      "Statement": [
        {
          "Action": [
            "organizations:DescribePolicy",
            "organizations:UpdatePolicy",
            "organizations:ListTargetsForPolicy"
          ],
          "Effect": "Allow",
          "Resource": "${aws_organizations_policy.drawbridge_quarantine.arn}",
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
  JSON
}

# For the broker's configuration: quarantine: {policy: …, role: …}
output "drawbridge_quarantine" {
  value = { policy = aws_organizations_policy.drawbridge_quarantine.id, role = aws_iam_role.drawbridge_quarantine.arn }
}
