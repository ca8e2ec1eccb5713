"""Builds an organisation of five accounts on a moto server: trusts done right and done wrong, in every kind of resource that the server can hold. Prints the names of its accounts by id.

usage: organization.py URL
"""
import json
import sys

import boto3

URL = sys.argv[1]
VENDOR = "999900000001"  # of nobody in the organisation


def client(service, credentials=None, region="eu-west-1"):
    keys = dict(aws_access_key_id="x", aws_secret_access_key="y")
    if credentials:
        keys = dict(aws_access_key_id=credentials["AccessKeyId"], aws_secret_access_key=credentials["SecretAccessKey"], aws_session_token=credentials["SessionToken"])
    return boto3.client(service, endpoint_url=URL, region_name=region, **keys)


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource=None, principal=None, condition=None):
    s = {"Effect": "Allow", "Action": action}
    if principal:
        s["Principal"] = principal
    if resource:
        s["Resource"] = resource
    if condition:
        s["Condition"] = condition
    return s


def trust(principal, condition=None, action="sts:AssumeRole"):
    return policy(allow(action, None, principal, condition))


organizations = client("organizations")
organizations.create_organization(FeatureSet="ALL")
root = organizations.list_roots()["Roots"][0]["Id"]
work = organizations.create_organizational_unit(ParentId=root, Name="Workloads")["OrganizationalUnit"]["Id"]
prod = organizations.create_organizational_unit(ParentId=work, Name="Production")["OrganizationalUnit"]["Id"]
names = ["tooling", "shop", "data", "sandbox"]
ids = {}
for name in names:
    ids[name] = organizations.create_account(Email=name + "@acme.example", AccountName=name)["CreateAccountStatus"]["AccountId"]
for name, unit in {"shop": prod, "data": prod, "tooling": work}.items():
    organizations.move_account(AccountId=ids[name], SourceParentId=root, DestinationParentId=unit)
for kind in ["SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"]:
    try:
        organizations.enable_policy_type(RootId=root, PolicyType=kind)
    except Exception as e:  # enabled already
        if "Already" not in type(e).__name__:
            raise
scp = organizations.create_policy(Name="no-leaving", Description="-", Type="SERVICE_CONTROL_POLICY",
    Content=policy({"Effect": "Deny", "Action": "organizations:LeaveOrganization", "Resource": "*"}))["Policy"]["PolicySummary"]["Id"]
organizations.attach_policy(PolicyId=scp, TargetId=work)
rcp = organizations.create_policy(Name="own-secrets", Description="-", Type="RESOURCE_CONTROL_POLICY",
    Content=policy({"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*", "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-other"}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}}))["Policy"]["PolicySummary"]["Id"]
organizations.attach_policy(PolicyId=rcp, TargetId=ids["data"])
organizations.register_delegated_administrator(AccountId=ids["tooling"], ServicePrincipal="guardduty.amazonaws.com")

management = client("sts").get_caller_identity()["Account"]
sts = client("sts")
sessions = {}
for name, account in ids.items():
    sessions[name] = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole", RoleSessionName="builder")["Credentials"]
    client("iam", sessions[name]).create_role(RoleName="DrawbridgeCollector", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{management}:root"}, {"StringEquals": {"sts:ExternalId": "collect-5f1d2c9e"}}))

# tooling: a build system by GitHub Actions, and the role that deploys with it.
iam = client("iam", sessions["tooling"])
iam.create_open_id_connect_provider(Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40])
provider = f"arn:aws:iam::{ids['tooling']}:oidc-provider/token.actions.githubusercontent.com"
iam.create_role(RoleName="ci", Path="/ci/", AssumeRolePolicyDocument=trust({"Federated": provider}, {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}}, "sts:AssumeRoleWithWebIdentity"))
iam.put_role_policy(RoleName="ci", PolicyName="deploy", PolicyDocument=policy(allow("sts:AssumeRole", f"arn:aws:iam::{ids['shop']}:role/deploy")))
iam.create_user(UserName="operator")
key = iam.create_access_key(UserName="operator")
client("ecr", sessions["tooling"]).create_repository(repositoryName="shop/web")
client("ecr", sessions["tooling"]).set_repository_policy(repositoryName="shop/web", policyText=policy(allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], None, {"AWS": f"arn:aws:iam::{ids['shop']}:root"})))

# shop: deployed from tooling, watched by a vendor without an external id.
iam = client("iam", sessions["shop"])
boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=policy(allow(["s3:*", "sqs:*"], "*")))["Policy"]["Arn"]
iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ids['tooling']}:role/ci/ci"}), PermissionsBoundary=boundary, MaxSessionDuration=7200)
iam.put_role_policy(RoleName="deploy", PolicyName="deploy", PolicyDocument=policy(allow("s3:PutObject", "arn:aws:s3:::shop-site/*")))
iam.create_role(RoleName="vendor", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{VENDOR}:root"}))
iam.put_role_policy(RoleName="vendor", PolicyName="read", PolicyDocument=policy(allow("cloudwatch:GetMetricData", "*")))
s3 = client("s3", sessions["shop"])
s3.create_bucket(Bucket="shop-site", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.put_bucket_policy(Bucket="shop-site", Policy=policy(allow("s3:GetObject", "arn:aws:s3:::shop-site/*", "*")))
s3.create_bucket(Bucket="shop-orders", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.put_bucket_policy(Bucket="shop-orders", Policy=policy(allow("s3:GetObject", "arn:aws:s3:::shop-orders/*", {"AWS": f"arn:aws:iam::{ids['data']}:role/etl"})))
s3.put_public_access_block(Bucket="shop-orders", PublicAccessBlockConfiguration=dict(BlockPublicAcls=True, IgnorePublicAcls=True, BlockPublicPolicy=True, RestrictPublicBuckets=True))
client("sqs", sessions["shop"]).create_queue(QueueName="orders", Attributes={"Policy": policy(allow("sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{ids['shop']}:orders", "*"))})
topic = client("sns", sessions["shop"]).create_topic(Name="orders")["TopicArn"]
client("sns", sessions["shop"]).set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(allow("sns:Subscribe", topic, {"AWS": VENDOR})))

# data: reads orders, with a key that others may use and a secret that says who.
iam = client("iam", sessions["data"])
iam.create_role(RoleName="etl", AssumeRolePolicyDocument=trust({"Service": "glue.amazonaws.com"}))
iam.put_role_policy(RoleName="etl", PolicyName="read", PolicyDocument=policy(allow("s3:GetObject", "arn:aws:s3:::shop-orders/*")))
kms = client("kms", sessions["data"])
key = kms.create_key(Policy=policy(allow("kms:*", "*", {"AWS": f"arn:aws:iam::{ids['data']}:root"}), allow("kms:Decrypt", "*", {"AWS": f"arn:aws:iam::{VENDOR}:root"})))["KeyMetadata"]["Arn"]
kms.create_grant(KeyId=key, GranteePrincipal=f"arn:aws:iam::{ids['shop']}:role/deploy", Operations=["Decrypt"])
secrets = client("secretsmanager", sessions["data"])
secret = secrets.create_secret(Name="warehouse", SecretString="canary-secret-value")["ARN"]
secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(allow("secretsmanager:GetSecretValue", "*", {"AWS": f"arn:aws:iam::{ids['shop']}:role/deploy"})))

# sandbox: a function that anyone may call, with what must never be collected in its environment.
iam = client("iam", sessions["sandbox"])
role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"}))["Role"]["Arn"]
iam.create_role(RoleName="open", AssumeRolePolicyDocument=trust({"AWS": "*"}))
functions = client("lambda", sessions["sandbox"])
functions.create_function(FunctionName="search", Runtime="python3.12", Role=role, Handler="x.y", Code={"ZipFile": b"canary-code"}, Environment={"Variables": {"TOKEN": "canary-environment"}})
functions.add_permission(FunctionName="search", StatementId="open", Action="lambda:InvokeFunction", Principal="*")

print(json.dumps({**{v: k for k, v in ids.items()}, management: "management"}))
