package io.virtnvme.ipc.relay;

/**
 * Messages between master and slave. The code is on the wire and never changes; the body of each is
 * what {@link RelayWriter} put in the order given here. {@code id} and {@code sequence} are the
 * header's fields.
 */
public enum RelayMessageType {
  /**
   * Slave to master, first on each connection: protocol major (int), minor (int), process id (int),
   * slave id (int, 0 = give me one), build (string), count of owned seats (int), each seat id
   * (int); since 1.1 its {@link FormatVersions}.
   */
  HELLO(1),
  /** Master to slave, answer to HELLO: slave id (int), idle spin in ns (long). id = instance id. */
  WELCOME(2),
  /**
   * Master to slave, id = seat: the slave is to take the seat now (take = 1) or to wait for it as a
   * standby (take = 0): take (int), core count (int), cores (int each, -1 = not pinned).
   */
  SEAT(3),
  /**
   * Master to slave, id = bdev id: a {@link BdevDescription}; seat (int). A slave opens it when it
   * has or gets that seat.
   */
  BDEV_ADD(4),
  /** Master to slave, id = bdev id: no session uses it any more. */
  BDEV_REMOVE(5),
  /** Master to slave, id = bdev id: new length: block count (long). */
  BDEV_RESIZE(6),
  /**
   * Slave to master, id = bdev id, answers BDEV_ADD, BDEV_REMOVE, BDEV_RESIZE, BDEV_LIMITS,
   * BDEV_TRACK, BDEV_HOLD, BDEV_CYCLE and DEVICE_DETACH (same sequence): errno (int, 0 = ok), text
   * (string), block count (long).
   */
  BDEV_RESULT(7),
  /**
   * Master to slave, id = session: a session as it is now, to a slave that has its seat and to
   * every standby: a {@link SessionDescription}, record version (long), record (bytes), fd slot
   * count (int), slots (int each). Descriptors: the front-end's socket, then one for each slot.
   * Also sent back by a slave after the master was restarted; what became of the message under way
   * the master knows from the session's segment.
   */
  SESSION(8),
  /** Slave to master, id = session: a standby has mapped it: record version (long). */
  SESSION_PREPARED(9),
  /**
   * Master to slave, id = session, sequence = number of the message: the front-end's message
   * (bytes). Descriptors: the message's.
   */
  RELAY(10),
  /**
   * Slave to master, answers RELAY (same id and sequence): action (int: 0 ok, 1 close the session),
   * reason (string), has reply (int), reply (bytes), reply fd count (int), record version (long),
   * record (bytes), slot changes: count (int), each slot (int) and source (int: -1 = closed, 0..n-1
   * = descriptor of the relayed message, 1000 + i = descriptor i of this answer behind the
   * reply's).
   */
  ANSWER(11),
  /**
   * Master to slave, id = session: the front-end is gone. Stop its rings, let running I/O end,
   * forget it.
   */
  SESSION_CLOSE(12),
  /** Slave to master, id = session: it is stopped and forgotten. */
  SESSION_CLOSED(13),
  /**
   * Slave to master, id = session: the guest broke the rules: reason (string). The master closes
   * the front-end's socket.
   */
  SESSION_FAILED(14),
  /**
   * Slave to master: warm, and waiting on every seat it was told of; once more after each seat that
   * it was told of when it was warm.
   */
  STANDBY_READY(15),
  /**
   * Slave to master, id = seat, sequence = epoch: this process owns the seat; once more when the
   * takeover was measured. The report is in the seat's segment.
   */
  SEAT_TAKEN(16),
  /** Master to slave: stop fetching, let running I/O end, release the seats, exit. */
  SHUTDOWN(17),
  /**
   * Slave to master after a master's restart: every session and bdev was handed back: warm (int, 1
   * = a standby that is ready).
   */
  ADOPTED(18),
  /**
   * Slave to master, id = bdev id: a bdev that this slave has open, after a master's restart: as
   * BDEV_ADD.
   */
  BDEV_HELD(19),
  /**
   * Master to slave, id = seat, since 1.1: stop waiting for a seat that is not owned, keep its
   * sessions and bdevs. SEAT with take = 0 makes it wait again.
   */
  UNWATCH(20),
  /** Slave to master, id = seat, since 1.1, answers UNWATCH: no thread waits for the seat. */
  UNWATCHED(21),
  /**
   * Master to slave, id = session, since 2.1: the namespaces of an NVMe controller as they are from
   * now on ({@link NvmeDescription#writeNamespaces}). Sequence: comes back in the answer.
   */
  NAMESPACES(22),
  /**
   * Slave to master, id = session, since 2.1, answers NAMESPACES (same sequence): no request runs
   * on a namespace that is not in the list, and none will begin.
   */
  NAMESPACES_SET(23),
  /**
   * Master to slave, id = bdev id, since 2.2: {@link BdevLimits}, in effect from now on. With a
   * sequence other than 0, BDEV_RESULT answers it.
   */
  BDEV_LIMITS(24),
  /**
   * Master to slave, id = bdev id, since 2.4: writes are marked from now on in the {@link
   * io.virtnvme.ipc.segment.DirtySegment} of the bdev, or not any more: on (int). With a sequence
   * other than 0, BDEV_RESULT answers it, when every change that began before has ended or will be
   * marked at its end.
   */
  BDEV_TRACK(25),
  /**
   * Master to slave, since 2.5, before the bdevs on it: a {@link DeviceDescription} of an NVMe
   * device. Descriptors: its VFIO container, its VFIO device. One of that name is there already:
   * nothing happens.
   */
  DEVICE_ATTACH(26),
  /**
   * Master to slave, since 2.5, after its bdevs were removed: name of an NVMe device (string).
   * BDEV_RESULT answers it, when nothing of the process can reach the device any more.
   */
  DEVICE_DETACH(27),
  /**
   * Slave to master after a master's restart, since 2.5, before the bdevs: an NVMe device, as
   * DEVICE_ATTACH.
   */
  DEVICE_HELD(28),
  /**
   * Master to slave, since 2.5: BDEV_RESULT with the same id answers it when every reactor of the
   * slave's seats has polled its disks since this came.
   */
  BDEV_CYCLE(29),
  /**
   * Master to slave, id = bdev id, since 2.5: a {@link BdevHold}, in effect from now on. With a
   * sequence other than 0, BDEV_RESULT answers it, when nothing runs any more of those that are
   * held; ETIME when the hold was over before that.
   */
  BDEV_HOLD(30);

  private static final RelayMessageType[] BY_CODE = new RelayMessageType[32];

  static {
    for (final RelayMessageType type : values()) {
      BY_CODE[type.code] = type;
    }
  }

  private final int code;

  RelayMessageType(final int code) {
    this.code = code;
  }

  public int code() {
    return code;
  }

  /** Null for a code that this build does not know. */
  public static RelayMessageType of(final int code) {
    return code < 0 || code >= BY_CODE.length ? null : BY_CODE[code];
  }
}
