#!/usr/bin/python3
"""The demo's services and replicator as processes, driven by a foreign gRPC client (python3-grpcio)."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = None
LIMIT_SECONDS = 20


def wait_until(condition, what):
    until = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f'not within {LIMIT_SECONDS} s: {what}')
        time.sleep(0.01)


class ServicesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.dir = pathlib.Path(holder.name)
        subprocess.run(['protoc', '-I', ROOT / 'proto', f'--python_out={cls.dir}', 'insurance/policy/v1/policy_service.proto'], check=True)
        sys.path.insert(0, str(cls.dir))
        from insurance.policy.v1 import policy_service_pb2
        cls.pb = policy_service_pb2

    def setUp(self):
        self.ports = {side: self.start_service(side) for side in ('legacy', 'new')}
        self.replicator = self.start('demo-replicator', *self.internal_addresses())

    def internal_addresses(self):
        return '--legacy', self.ports['legacy']['internal'], '--new', self.ports['new']['internal']

    def start(self, name, *flags):
        process = subprocess.Popen([f'{BUILD}/deploy/demo/{name}', *flags], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.terminate()
            process.send_signal(signal.SIGCONT)
        return process.wait(LIMIT_SECONDS)

    def start_service(self, side):
        file = self.dir / f'{self.id()}.{side}.json'
        process = self.start('demo-policy-service', '--side', side, '--policies', '200', '--port-file', str(file))
        wait_until(lambda: file.exists() or process.poll() is not None, f'{side} serves')
        ports = json.loads(file.read_text())
        ports['process'] = process
        return ports

    def call(self, side, method, request, answer, kind='unary_unary', timeout=5):
        with grpc.insecure_channel(self.ports[side]['listen'], options=[('grpc.enable_http_proxy', 0)]) as channel:
            stub = getattr(channel, kind)(f'/insurance.policy.v1.PolicyService/{method}', request_serializer=lambda m: m.SerializeToString(),
                                          response_deserializer=answer.FromString)
            result = stub(request, timeout=timeout)
            return list(result) if kind == 'unary_stream' else result

    def get(self, side, number):
        return self.call(side, 'GetPolicy', self.pb.GetPolicyRequest(policy_number=number), self.pb.GetPolicyResponse).policy

    def move(self, side, number, street):
        request = self.pb.EndorseAddressRequest(policy_number=number, endorsement_id=f'{side}-{street}', effective_on='2026-01-01')
        request.address.street = street
        return self.call(side, 'EndorseAddress', request, self.pb.EndorseAddressResponse).policy

    def street(self, side, number):
        return self.get(side, number).holder.address.street

    def test_changes_are_carried_both_ways(self):
        self.move('legacy', 'P-1000001', 'Elm Road 1')
        self.move('new', 'P-1000002', 'Elm Road 2')
        wait_until(lambda: self.street('new', 'P-1000001') == 'Elm Road 1', 'legacy to new')
        wait_until(lambda: self.street('legacy', 'P-1000002') == 'Elm Road 2', 'new to legacy')
        self.assertEqual(self.get('legacy', 'P-1000001').version, self.get('new', 'P-1000001').version)

    def test_a_restarted_replicator_carries_what_it_missed_and_nothing_twice(self):
        self.move('legacy', 'P-1000001', 'Elm Road 1')
        wait_until(lambda: self.street('new', 'P-1000001') == 'Elm Road 1', 'before the restart')
        endorsements = len(self.get('new', 'P-1000001').endorsements)
        self.replicator.kill()
        self.replicator.wait()
        self.move('legacy', 'P-1000003', 'Elm Road 3')
        self.start('demo-replicator', *self.internal_addresses())
        wait_until(lambda: self.street('new', 'P-1000003') == 'Elm Road 3', 'after the restart')
        self.assertEqual(len(self.get('new', 'P-1000001').endorsements), endorsements)

    def test_changes_wait_for_a_side_that_stands_still(self):
        os.kill(self.ports['new']['process'].pid, signal.SIGSTOP)
        self.move('legacy', 'P-1000004', 'Elm Road 4')
        os.kill(self.ports['new']['process'].pid, signal.SIGCONT)
        wait_until(lambda: self.street('new', 'P-1000004') == 'Elm Road 4', 'after it went on')

    def test_histories_end_with_the_policy_as_it_stands(self):
        events = self.call('legacy', 'StreamHistory', self.pb.StreamHistoryRequest(policy_number='P-1000037'), self.pb.StreamHistoryResponse, 'unary_stream')
        self.assertEqual([events[0].event, events[-2].event, events[-1].event], ['issued', 'lapsed', 'reinstated'])
        self.assertEqual(events[-1].policy, self.get('legacy', 'P-1000037'))

    def test_pages_follow_one_another_to_the_end_of_the_book(self):
        numbers, token = [], ''
        while True:
            page = self.call('legacy', 'ListPolicies', self.pb.ListPoliciesRequest(page_size=70, page_token=token), self.pb.ListPoliciesResponse)
            numbers += [policy.policy_number for policy in page.policies]
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(numbers, [f'P-{1000000 + i}' for i in range(200)])

    def test_bad_requests_are_refused_by_the_code_that_says_why(self):
        pb = self.pb
        moved = pb.EndorseAddressRequest(policy_number='P-1000001', endorsement_id='x', address=pb.Address(street='s'))
        lost = pb.EndorseAddressRequest(policy_number='P-9', endorsement_id='x', address=pb.Address(street='s'))
        cases = [
            ('no number', 'GetPolicy', pb.GetPolicyRequest(), pb.GetPolicyResponse, 'unary_unary', 'INVALID_ARGUMENT'),
            ('no such policy', 'GetPolicy', pb.GetPolicyRequest(policy_number='P-1000200'), pb.GetPolicyResponse, 'unary_unary', 'NOT_FOUND'),
            ('nonsense', 'GetPolicy', pb.GetPolicyRequest(policy_number='%s%n'), pb.GetPolicyResponse, 'unary_unary', 'NOT_FOUND'),
            ('no such history', 'StreamHistory', pb.StreamHistoryRequest(policy_number='P-9'), pb.StreamHistoryResponse, 'unary_stream', 'NOT_FOUND'),
            ('a page too long', 'ListPolicies', pb.ListPoliciesRequest(page_size=501), pb.ListPoliciesResponse, 'unary_unary', 'INVALID_ARGUMENT'),
            ('a negative page', 'ListPolicies', pb.ListPoliciesRequest(page_size=-1), pb.ListPoliciesResponse, 'unary_unary', 'INVALID_ARGUMENT'),
            ('a foreign token', 'ListPolicies', pb.ListPoliciesRequest(page_token='12x'), pb.ListPoliciesResponse, 'unary_unary', 'INVALID_ARGUMENT'),
            ('no endorsement id', 'EndorseAddress', pb.EndorseAddressRequest(policy_number='P-1000001', address=moved.address), pb.EndorseAddressResponse,
             'unary_unary', 'INVALID_ARGUMENT'),
            ('no address', 'EndorseAddress', pb.EndorseAddressRequest(policy_number='P-1000001', endorsement_id='x'), pb.EndorseAddressResponse,
             'unary_unary', 'INVALID_ARGUMENT'),
            ('a lost policy', 'EndorseAddress', lost, pb.EndorseAddressResponse, 'unary_unary', 'NOT_FOUND'),
        ]
        for name, method, request, answer, kind, want in cases:
            with self.subTest(name):
                with self.assertRaises(grpc.RpcError) as raised:
                    self.call('legacy', method, request, answer, kind)
                self.assertEqual(raised.exception.code().name, want)

    def test_the_replication_service_is_not_on_the_public_port(self):
        from google.protobuf import empty_pb2
        with grpc.insecure_channel(self.ports['legacy']['listen'], options=[('grpc.enable_http_proxy', 0)]) as channel:
            apply = channel.unary_unary('/insurance.replication.v1.ReplicationService/ApplyChange',
                                        request_serializer=lambda m: m.SerializeToString(), response_deserializer=empty_pb2.Empty.FromString)
            with self.assertRaises(grpc.RpcError) as raised:
                apply(empty_pb2.Empty(), timeout=5)
            self.assertEqual(raised.exception.code().name, 'UNIMPLEMENTED')

    def test_a_taken_port_is_an_error_that_says_so(self):
        done = subprocess.run([f'{BUILD}/deploy/demo/demo-policy-service', '--side', 'new', '--policies', '1', '--listen', self.ports['legacy']['listen']],
                              capture_output=True, text=True, timeout=LIMIT_SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot listen on {self.ports['legacy']['listen']}", done.stderr)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--build-dir', required=True)
    known, rest = parser.parse_known_args()
    BUILD = known.build_dir
    unittest.main(argv=[sys.argv[0], *rest])
