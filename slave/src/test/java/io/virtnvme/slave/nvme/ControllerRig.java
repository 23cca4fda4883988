package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.UUID;

/**
 * A controller with fake reactors, driven as a driver does. Numbers of the specification are
 * written out: nothing here is taken from the code under test.
 */
final class ControllerRig {
  static final ControllerConfig CONFIG =
      new ControllerConfig(
          "nqn.2024-01.io.virtnvme:disk0",
          "SER1",
          "virtnvme disk",
          1,
          0x1B36,
          0x1AF4,
          64,
          1024,
          65,
          32);
  static final Namespace DISK_1 = disk(1, 1000, 512);
  static final Namespace DISK_2 = disk(2, 2000, 4096);
  static final long ASQ = 0x10000;
  static final long ACQ = 0x20000;
  static final int CC_ENABLE = 0x0046_0001;
  static final int CC_DISABLE = 0x0046_0000;

  final FakeQueueHost host = new FakeQueueHost();
  NvmeController controller;
  List<Namespace> namespaces = List.of(DISK_1, DISK_2);
  long nowMs = 1_000_000;
  IoTotals totals = IoTotals.NONE;
  private int nextCommandId = 7;

  ControllerRig() {
    controller = make(null);
    controller.resume();
    host.settle();
  }

  static Namespace disk(final int id, final long blocks, final int blockBytes) {
    return new Namespace(
        id,
        blocks,
        blockBytes,
        false,
        new UUID(0x0011_2233_4455_4677L, 0x8899_AABB_CCDD_EE00L + id));
  }

  NvmeController make(final byte[] image) {
    final NvmeController made =
        new NvmeController(CONFIG, namespaces, image, host, () -> totals, () -> nowMs);
    host.attach(made);
    return made;
  }

  /** The slave dies and a successor takes over. */
  void takeOver() {
    host.kill();
    controller = make(host.committed);
    controller.resume();
  }

  void write(final int offset, final int width, final long value) {
    final boolean[] isDone = new boolean[1];
    controller.writeRegister(offset, width, value, () -> isDone[0] = true);
    host.settle();
    assertTrue(isDone[0], "register write has no end");
  }

  int csts() {
    return (int) controller.readRegister(0x1C, 4);
  }

  ControllerRig enable() {
    write(0x24, 4, 0x001F_001F);
    write(0x28, 8, ASQ);
    write(0x30, 8, ACQ);
    write(0x14, 4, CC_ENABLE);
    assertEquals(1, csts());
    return this;
  }

  /** A command with PRP1 at a valid page. */
  static ByteBuffer command(final int opcode, final int namespaceId) {
    return ByteBuffer.allocate(64)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(0, (byte) opcode)
        .putInt(4, namespaceId)
        .putLong(24, 0x30000);
  }

  static ByteBuffer command(
      final int opcode, final int namespaceId, final int dword10, final int dword11) {
    return command(opcode, namespaceId).putInt(40, dword10).putInt(44, dword11);
  }

  long submit(final ByteBuffer command) {
    command.putShort(2, (short) nextCommandId++);
    return host.submit(bytes(command));
  }

  static byte[] bytes(final ByteBuffer buffer) {
    final byte[] bytes = new byte[buffer.capacity()];
    buffer.get(0, bytes);
    return bytes;
  }

  /** Runs a command to its completion. */
  FakeQueueHost.Done run(final ByteBuffer command) {
    host.data = null;
    final long fetchNumber = submit(command);
    host.settle();
    return host.completionOf(fetchNumber);
  }

  /** Runs a command that must succeed; returns dword 0. */
  int succeed(final ByteBuffer command) {
    final FakeQueueHost.Done done = run(command);
    assertEquals("0", Integer.toHexString(done.status()));
    return done.result();
  }

  /** Runs a command that must succeed with data. */
  ByteBuffer read(final ByteBuffer command) {
    succeed(command);
    return ByteBuffer.wrap(host.data).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Runs a command that must be refused: with do-not-retry and more, and an entry on top of the
   * error log that says where.
   */
  void refuse(final ByteBuffer command, final int typeAndCode, final int location) {
    final FakeQueueHost.Done done = run(command);
    assertEquals(
        Integer.toHexString(0x6000 | typeAndCode), Integer.toHexString(done.status()), "status");
    assertEquals(0, done.result());
    final CommandError error = controller.state().errors().entries().get(0);
    assertEquals(done.status(), error.status());
    assertEquals(Integer.toHexString(location), Integer.toHexString(error.location()), "location");
    assertEquals(command.getShort(2), (short) error.commandId());
    assertEquals(command.getInt(4), error.namespaceId());
    assertEquals(0, error.queueId());
  }

  void createQueuePair(final int id) {
    succeed(createCq(id, 64, id));
    succeed(createSq(id, 64, id));
  }

  static ByteBuffer createCq(final int id, final int entries, final int vector) {
    return command(5, 0, (entries - 1) << 16 | id, vector << 16 | 3)
        .putLong(24, 0x100000 + id * 0x10000L);
  }

  static ByteBuffer createSq(final int id, final int entries, final int completionQueueId) {
    return command(1, 0, (entries - 1) << 16 | id, completionQueueId << 16 | 1)
        .putLong(24, 0x2000000 + id * 0x10000L);
  }

  static ByteBuffer deleteSq(final int id) {
    return command(0, 0, id, 0);
  }

  static ByteBuffer deleteCq(final int id) {
    return command(4, 0, id, 0);
  }

  static ByteBuffer identify(final int cns, final int namespaceId) {
    return command(6, namespaceId, cns, 0);
  }

  static ByteBuffer getLog(final int id, final int lengthBytes, final boolean isRetaining) {
    return command(
        2,
        -1,
        (lengthBytes / 4 - 1) << 16 | (isRetaining ? 0x8000 : 0) | id,
        (lengthBytes / 4 - 1) >>> 16);
  }

  static ByteBuffer getFeature(final int id, final int select) {
    return command(0xA, 0, select << 8 | id, 0);
  }

  static ByteBuffer setFeature(final int id, final int value) {
    return command(9, 0, id, value);
  }

  static ByteBuffer eventRequest() {
    return command(0xC, 0);
  }
}
