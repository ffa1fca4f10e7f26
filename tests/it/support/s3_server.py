"""An S3 server on loopback. Says its port, and ends when its standard input does.

    python s3_server.py
    python s3_server.py --strict BUCKET     with a bucket; looks at signatures, and says port, key and secret of who may
"""

import json
import sys

import boto3
from moto import settings
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]


def client(service):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
    )


said = [port]
if sys.argv[1:2] == ["--strict"]:
    client("s3").create_bucket(Bucket=sys.argv[2])
    iam = client("iam")
    iam.create_user(UserName="loader")
    may = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_user_policy(UserName="loader", PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName="loader")["AccessKey"]
    said += [key["AccessKeyId"], key["SecretAccessKey"]]
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
print(*said, flush=True)
sys.stdin.read()
server.stop()
