package io.virtnvme.tools.chaos;

import java.util.Locale;

/** What can be done to a pair; the share says how often, compared with the others. */
enum FaultKind {
  NOTHING(2, "nothing at all: what the clients feel of the machine itself"),
  SLAVE(8, "SIGKILL to the slave; a warm standby takes over"),
  SLAVE_AGAIN(2, "SIGKILL to the slave, then to its successor as soon as that has the seat"),
  SLAVE_AND_STANDBY(2, "SIGKILL to the slave and its standby: a new process starts cold"),
  MASTER(2, "SIGKILL to the master; a new one is started"),
  MASTER_THEN_SLAVE(2, "SIGKILL to the master, then to the slave; then a new master"),
  EVERYTHING(2, "SIGKILL to every process of the pair; then a new master, front-ends reconnect"),
  PAUSE(1, "SIGSTOP to the slave for 200 ms, then SIGCONT: shorter than the hang limit"),
  HANG(1, "SIGSTOP to the slave until it is replaced, then SIGCONT to what is left of it"),
  MASTER_PAUSE(1, "SIGSTOP to the master for 500 ms, a kill of the slave meanwhile, SIGCONT"),
  RECONNECT(2, "a front-end hangs up with requests in flight and connects again"),
  OUT_OF_MEMORY(1, "the slave is put into a memory group without room, until the kernel kills it"),
  SHM_FULL(1, "/dev/shm is full while the slave is killed"),
  DISK_FULL(1, "the run directory's file system is full while the slave is killed"),
  DEVICE_ERROR(2, "half of a disk's requests end with EIO for 600 ms, and the slave is killed");

  private final int share;
  private final String sentence;

  FaultKind(final int share, final String sentence) {
    this.share = share;
    this.sentence = sentence;
  }

  int share() {
    return share;
  }

  String sentence() {
    return sentence;
  }

  /** The name in options and reports. */
  String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
