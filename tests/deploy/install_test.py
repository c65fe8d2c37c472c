#!/usr/bin/python3
"""deploy/install.sh beside stand-ins for dpkg-query, apt-get, sudo and id; and what the other scripts refuse to begin."""

import os
import pathlib
import stat
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ('bash', 'sed', 'awk', 'grep', 'tr', 'dirname', 'basename', 'cat', 'env')


def packages_of(*lists):
    return [line.split('#')[0].strip() for name in lists for line in (ROOT / 'deploy' / name).read_text().splitlines()
            if line.split('#')[0].strip()]


class InstallTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)
        self.bin = self.dir / 'bin'
        self.bin.mkdir()
        self.calls = self.dir / 'calls'
        self.calls.write_text('')
        # PATH holds the stand-ins and nothing else, so that no real tool of this machine can be reached.
        for tool in TOOLS:
            for place in ('/bin', '/usr/bin'):
                if os.path.exists(f'{place}/{tool}'):
                    os.symlink(f'{place}/{tool}', self.bin / tool)
                    break
        self.stand_in('apt-get', 'echo "apt-get DEBIAN_FRONTEND=${DEBIAN_FRONTEND:-} $*" >>"$CALLS"; if IFS= read -r line; then echo "stdin is open" >>"$CALLS"; fi')

    def stand_in(self, name, body):
        file = self.bin / name
        file.write_text(f'#!/bin/bash\n{body}\n')
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def machine(self, installed, root=True, sudo=None, removed=()):
        """A machine with these packages; sudo: None (there is none), True (works) or False (asks for a password)."""
        known = [f'{name} installed' for name in installed] + [f'{name} config-files' for name in removed]
        (self.dir / 'known').write_text(''.join(f'{line}\n' for line in known))
        # As the real one: prints what it knows, exits 1 if it does not know a name.
        self.stand_in('dpkg-query', f'shift 3; rc=0; for p; do grep "^$p " "{self.dir}/known" || rc=1; done; exit $rc')
        self.stand_in('id', f'echo {0 if root else 1000}')
        if sudo is not None:
            self.stand_in('sudo', 'echo "sudo $*" >>"$CALLS"; [ "$1" = -n ] || exit 9; shift; "$@"' if sudo else 'echo "sudo: a password is required" >&2; exit 1')

    def install(self, *arguments):
        done = subprocess.run([ROOT / 'deploy/install.sh', *arguments], env={'PATH': str(self.bin), 'CALLS': str(self.calls)},
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
        return done, self.calls.read_text().splitlines()

    def test_nothing_is_run_when_nothing_is_missing(self):
        self.machine(packages_of('packages.txt'))
        done, calls = self.install()
        self.assertEqual((done.returncode, calls, done.stdout, done.stderr), (0, [], '', ''))

    def test_what_is_missing_is_installed_by_one_update_and_one_install(self):
        all_of = packages_of('packages.txt')
        self.machine([name for name in all_of if name not in ('cmake', 'zlib1g-dev')])
        done, calls = self.install()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(calls, ['apt-get DEBIAN_FRONTEND= update',
                                 'apt-get DEBIAN_FRONTEND=noninteractive install -y --no-install-recommends --no-remove cmake zlib1g-dev'])

    def test_a_removed_package_whose_configuration_stayed_counts_as_missing(self):
        all_of = packages_of('packages.txt')
        self.machine([name for name in all_of if name != 'cmake'], removed=['cmake'])
        _, calls = self.install()
        self.assertTrue(calls[-1].endswith(' --no-remove cmake'), calls)

    def test_a_package_whose_name_is_part_of_another_is_not_taken_for_it(self):
        self.machine([name for name in packages_of('packages.txt') if name != 'g++'] + ['g++-12', 'libgrpc++-dev'])
        _, calls = self.install()
        self.assertTrue(calls[-1].endswith(' --no-remove g++'), calls)

    def test_each_list_is_asked_for_by_its_flag(self):
        cases = [((), ('packages.txt',)), (('--test',), ('packages.txt', 'packages-test.txt')),
                 (('--bench',), ('packages.txt', 'packages-bench.txt'))]
        for flags, lists in cases:
            with self.subTest(flags=flags):
                self.calls.write_text('')
                self.machine([])
                _, calls = self.install(*flags)
                self.assertEqual(calls[-1].split(' --no-remove ')[1].split(), packages_of(*lists))

    def test_a_working_sudo_is_used_without_asking(self):
        self.machine([], root=False, sudo=True)
        done, calls = self.install()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('sudo -n apt-get update', calls)
        self.assertIn('apt-get DEBIAN_FRONTEND=noninteractive install -y --no-install-recommends --no-remove ' + ' '.join(packages_of('packages.txt')), calls)

    def test_without_root_and_sudo_the_line_is_printed_and_3_returned(self):
        for sudo in (None, False):
            with self.subTest(sudo=sudo):
                self.machine([name for name in packages_of('packages.txt') if name not in ('cmake', 'g++')], root=False, sudo=sudo)
                done, calls = self.install()
                self.assertEqual(done.returncode, 3)
                self.assertEqual([call for call in calls if call.startswith('apt-get')], [])
                self.assertIn('apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends '
                              '--no-remove g++ cmake </dev/null', done.stderr)

    def test_nothing_is_asked_for_when_nothing_is_missing_and_there_is_no_root(self):
        self.machine(packages_of('packages.txt'), root=False)
        done, _ = self.install()
        self.assertEqual(done.returncode, 0)

    def test_a_failing_update_does_not_stop_an_install_that_works(self):
        self.machine([])
        self.stand_in('apt-get', 'echo "apt-get $1" >>"$CALLS"; [ "$1" != update ]')
        done, calls = self.install()
        self.assertEqual((done.returncode, calls), (0, ['apt-get update', 'apt-get install']))

    def test_a_failing_install_fails_and_names_the_packages(self):
        self.machine([name for name in packages_of('packages.txt') if name != 'cmake'])
        self.stand_in('apt-get', 'exit 100')
        done, _ = self.install()
        self.assertEqual(done.returncode, 1)
        self.assertIn('could not install: cmake', done.stderr)

    def test_a_machine_without_dpkg_is_told_what_is_needed_and_left_alone(self):
        done, calls = self.install()
        self.assertEqual((done.returncode, calls), (0, []))
        self.assertIn('libgrpc++-dev', done.stderr)

    def test_an_unknown_flag_is_refused(self):
        done, _ = self.install('--everything')
        self.assertEqual(done.returncode, 2)
        self.assertIn('usage: deploy/install.sh', done.stderr)

    def test_every_package_stands_on_a_line_of_its_own_with_its_reason(self):
        for name in ('packages.txt', 'packages-test.txt', 'packages-bench.txt'):
            for line in (ROOT / 'deploy' / name).read_text().splitlines():
                if not line.startswith('#'):
                    self.assertRegex(line, r'^[a-z0-9][a-z0-9.+-]+ +# \S', f'{name}: {line}')
        self.assertEqual([name for name in packages_of('packages.txt', 'packages-test.txt', 'packages-bench.txt') if name in ('npm', 'nodejs')], [])


class ScriptsTest(unittest.TestCase):
    SCRIPTS = ('deploy/demo.sh', 'deploy/install.sh', 'tests/run.sh')

    def run_script(self, script, *arguments, **environment):
        return subprocess.run([ROOT / script, *arguments], env={**os.environ, **environment}, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30)

    def test_each_script_says_how_it_is_used(self):
        for script in self.SCRIPTS:
            with self.subTest(script):
                done = self.run_script(script, '--help')
                self.assertEqual((done.returncode, done.stderr), (0, ''))
                self.assertTrue(done.stdout.startswith(f'usage: {script}'))

    def test_an_argument_nobody_knows_is_refused_before_anything_is_done(self):
        for script in self.SCRIPTS:
            with self.subTest(script):
                done = self.run_script(script, '--nonsense')
                self.assertEqual(done.returncode, 2)
                self.assertIn("unknown argument '--nonsense'", done.stderr)

    def test_too_little_disk_is_said_before_anything_is_built(self):
        with tempfile.TemporaryDirectory() as holder:
            df = pathlib.Path(holder) / 'df'
            df.write_text('#!/bin/bash\necho "Filesystem 1048576-blocks Used Available Capacity Mounted on"\necho "/dev/sda 1000 990 10 99% /"\n')
            df.chmod(0o755)
            for script in ('deploy/demo.sh', 'tests/run.sh'):
                with self.subTest(script):
                    done = self.run_script(script, '--no-install', PATH=f'{holder}:{os.environ["PATH"]}')
                    self.assertEqual(done.returncode, 1)
                    self.assertRegex(done.stderr, r'needs \d+ MiB under .*, 10 MiB are free')
                    self.assertNotIn('Building', done.stderr)


if __name__ == '__main__':
    unittest.main()
