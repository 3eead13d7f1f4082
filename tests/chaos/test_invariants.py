"""Each check of the chaos run can fail."""

import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from api_answers import BOOK, ApiAnswers
from backend import Backend, Effect
from clients import History, Operation
from faults import Fault, longest_gap, unavailability
from invariants import Truth, agreement


def items(*names):
    return [{"clusterId": "c", "namespace": "n", "deployment": name}
            for name in names]


def watchlist(*names):
    return frozenset(("c", "n", name) for name in names)


def job(number, name, state="completed", **more):
    return {"id": f"job{number}", "number": number, "state": state,
            "action": "train", "percentage": 100, "epoch": number,
            "response": "training job submitted", "reason": "",
            "workloads": items(name), **more}


class FakeReplica:
    """Answers like a gateway with these jobs."""

    def __init__(self, *jobs, name="gateway1"):
        self.name = name
        self.list = list(jobs)

    def jobs(self):
        return self.list

    def get(self, path, timeout=None):
        if path == "/api/v1/training":
            return {"stale": False, **(self.list[0] if self.list else {})}
        if path == "/api/v1/watchlist":
            return {"items": []}
        return next((x for x in self.list if path.endswith(x["id"])), {})


class ChecksTest(unittest.TestCase):
    """The records of two successful trainings, which each test changes."""

    kv = True

    def setUp(self):
        self.history = History()
        self.effects = [Effect(number, f"job{number}" if self.kv else None,
                               watchlist(f"s{number}"), True)
                        for number in (1, 2)]
        self.jobs = [job(2, "s2"), job(1, "s1", "superseded", percentage=40)]
        for number, percentage in ((1, 40), (2, 100)):
            self.history.add(Operation(
                "submit", "gateway1", 0, 1, 200, f"job{number}", "train",
                watchlist(f"s{number}")))
            self.history.add(Operation("progress", "gateway1", 0, 1, 200,
                                       effect=number, percentage=percentage))

    def truth(self):
        self.history.see_jobs(self.jobs)
        return Truth(self.history, SimpleNamespace(effects=self.effects),
                     FakeReplica(*self.jobs), self.kv)

    def assert_found(self, found, text):
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_a_correct_run_has_no_violations(self):
        truth = self.truth()
        self.assertEqual(truth.losses() + truth.violations(), [])

    def test_a_lost_submission_is_found(self):
        del self.jobs[1]
        self.assert_found(self.truth().losses(), "job1")

    def test_a_job_that_newer_jobs_replaced_is_no_loss(self):
        self.truth()
        self.jobs = [job(102, "s102"), job(101, "s101"), job(2, "s2")]
        self.effects += [Effect(number, f"job{number}",
                                watchlist(f"s{number}"), True)
                         for number in (101, 102)]
        self.assertEqual(self.truth().losses(), [])

    def test_a_different_watchlist_is_found(self):
        self.jobs[0]["workloads"] = items("s2", "s3")
        self.assert_found(list(self.truth().lost_submissions()), "watchlist")

    def test_lost_progress_is_found(self):
        self.jobs[0]["percentage"] = 99
        self.assert_found(self.truth().losses(), "99 %")

    def test_an_acknowledged_submission_without_effect_is_found(self):
        self.jobs[1]["state"] = "failed"
        self.jobs[1]["epoch"] = 0
        del self.effects[0]
        self.assert_found(self.truth().violations(), "never carried it out")

    def test_a_completed_job_without_effect_is_found(self):
        self.jobs.insert(0, job(3, "s3", epoch=0))
        self.assert_found(self.truth().violations(), "never received it")

    def test_an_adopted_job_is_allowed_without_ids(self):
        self.jobs.insert(0, job(3, "unknown", epoch=1))
        found = list(self.truth().completed_without_effect())
        self.assertEqual(len(found), 1 if self.kv else 0, found)

    def test_a_repeated_effect_is_found(self):
        again = Effect(3, self.effects[1].uuid, watchlist("s2"), False)
        self.effects.append(again)
        self.assert_found(self.truth().violations(), "2 times")

    def test_progress_of_another_training_is_found(self):
        self.jobs[0]["epoch"] = 1
        self.jobs[1]["epoch"] = 0
        found = self.truth().violations()
        if self.kv:
            self.assert_found(found, "another training")
        else:
            # Its reports name no job, so only the last effect is checked.
            self.assertEqual(found, [])

    def test_a_number_of_two_jobs_is_found(self):
        self.truth()
        self.jobs[0] = {**self.jobs[0], "id": "job9"}
        self.assertTrue(any("belongs to" in x
                            for x in self.truth().violations()))

    def test_a_changed_number_is_found(self):
        self.truth()
        self.jobs[0] = {**self.jobs[0], "number": 3}
        self.assert_found(self.truth().history.violations, "has the numbers")


class ChecksWithRequestReplyTest(ChecksTest):
    kv = False


class AgreementTest(unittest.TestCase):
    def test_equal_answers_agree(self):
        replicas = [FakeReplica(job(1, "s1"), name=x) for x in "abc"]
        self.assertEqual(agreement(replicas), [])

    def test_a_different_answer_is_found(self):
        replicas = [FakeReplica(job(1, "s1"), name="a"),
                    FakeReplica(job(1, "s1", "failed"), name="b")]
        found = agreement(replicas)
        self.assertEqual(len(found), 2, found)
        self.assertIn("'completed' and 'failed'", found[0])

    def test_a_submission_without_outcome_is_found(self):
        pending = job(1, "s1", "submitted", response="")
        self.assertIn("not settled: [1]", agreement([FakeReplica(pending)])[0])

    def test_an_accepted_training_without_progress_is_settled(self):
        accepted = job(1, "s1", "submitted")
        self.assertEqual(agreement([FakeReplica(accepted)]), [])


class UnavailabilityTest(unittest.TestCase):
    def test_the_longest_gap_in_a_window_is_found(self):
        writes = [1, 2, 3, 7, 8]
        self.assertEqual(longest_gap(writes, 2.5, 7.5), 4)
        self.assertEqual(longest_gap(writes, 4, 6), 2)
        self.assertEqual(longest_gap([], 4, 6), 2)

    def test_overlapping_faults_are_not_measured(self):
        records = [Fault("a", 10, "", 11), Fault("b", 20, "", 21, alone=False),
                   Fault("a", 30, "", 31)]
        writes = [9, 10.5, 14, 19, *range(20, 40)]
        self.assertEqual(unavailability(records, writes), {"a": [5, 1]})


class AnswersTest(unittest.TestCase):
    def test_answers_are_read_from_chunks_of_any_size(self):
        sent = (b'CONNECT {}\r\nPUB $JS.API.STREAM.INFO.KV_x _IN.1 0\r\n\r\n'
                b'HPUB $KV.x.k _IN.2 12 14\r\nNATS/1.0\r\n\r\n{}\r\n')
        received = (b'INFO {}\r\nMSG _IN.1 1 2\r\n{}\r\n'
                    b'MSG _IN.2 1 78\r\n{"error":{"code":400,"err_code":10071,'
                    b'"description":"wrong last sequence: 7"}}\r\nPING\r\n')
        for size in (1, 7, 1000):
            answers = ApiAnswers()
            tap = answers.tap()
            for at in range(0, len(sent), size):
                tap.sent(sent[at:at + size])
            for at in range(0, len(received), size):
                tap.received(received[at:at + size])
            self.assertEqual(dict(answers.counts), {
                ("STREAM.INFO", 0, 200, "done"): 1,
                ("PUT", 10071, 400, "wrong last sequence: N"): 1})


    def write(self, tap, number, expected, revision):
        headers = (f"NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: {expected}"
                   "\r\n\r\n").encode()
        tap.sent(b"HPUB %s _IN.%d %d %d\r\n%s{}\r\n" % (
            BOOK.encode(), number, len(headers), len(headers) + 2, headers))
        answer = b'{"stream":"KV_x","seq":%d}' % revision
        tap.received(b"MSG _IN.%d 1 %d\r\n%s\r\n" % (number, len(answer),
                                                    answer))

    def test_a_server_that_loses_an_acknowledged_write_is_found(self):
        answers = ApiAnswers()
        tap = answers.tap()
        self.write(tap, 1, 0, 7)
        self.write(tap, 2, 7, 9)
        # Meanwhile a write was stored whose acknowledgement was lost.
        self.write(tap, 3, 11, 12)
        self.assertEqual(answers.book.losses, [])
        self.write(tap, 4, 0, 13)
        self.assertIn("over nothing succeeded", answers.book.losses[0][1])

    def test_a_server_that_loses_the_book_is_found(self):
        answers = ApiAnswers()
        tap = answers.tap()

        def read(number):
            ask = b'{"last_by_subj":"%s"}' % BOOK.encode()
            tap.sent(b"PUB $JS.API.STREAM.MSG.GET.KV_x _IN.%d %d\r\n%s\r\n"
                     % (number, len(ask), ask))
            answer = b'{"error":{"code":404,"err_code":10037}}'
            tap.received(b"MSG _IN.%d 1 %d\r\n%s\r\n"
                         % (number, len(answer), answer))
        read(1)
        self.write(tap, 2, 0, 7)
        self.assertEqual(answers.book.losses, [])
        read(3)
        self.assertIn("there is no book", answers.book.losses[0][1])


class BackendTest(unittest.TestCase):
    def setUp(self):
        self.backend = Backend([], kv=True, seed=1)
        self.addCleanup(self.backend.end)

    def submit(self, *names):
        request = {"uuid": f"job-{names}"}
        if names:
            request["workloads"] = {"c": {"n": list(names)}}
        return self.backend.train(request)

    def test_new_workloads_are_trained(self):
        self.assertEqual(self.submit("a", "b"), "training job submitted")
        self.assertTrue(self.backend.training.train)
        self.assertEqual(self.backend.workloads(), watchlist("a", "b"))

    def test_a_smaller_watchlist_does_not_change_the_training(self):
        self.submit("a", "b")
        training = self.backend.training
        self.submit("a")
        self.assertIs(self.backend.training, training)

    def test_a_reset_ends_the_training(self):
        self.submit("a")
        self.assertEqual(self.submit(), "model reset")
        self.assertIsNone(self.backend.next_report())


if __name__ == "__main__":
    unittest.main()
