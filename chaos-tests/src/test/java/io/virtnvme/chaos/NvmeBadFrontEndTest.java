package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.client.NvmeClient;
import io.virtnvme.ipc.nvme.client.NvmeClientConfig;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vfiouser.PciCommand;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.RegionAccess;
import io.virtnvme.ipc.vfiouser.VfioUserClient;
import io.virtnvme.ipc.vfiouser.VfioUserClientException;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** P6 for vfio-user: a front-end that sends what it likes harms its own controller alone. */
@Tag("once")
class NvmeBadFrontEndTest {
  private static final Duration SEND_LIMIT = Duration.ofSeconds(5);
  private static final int TIMEOUT_MS = 20_000;

  @RegisterExtension private final Pairs pairs = new Pairs();
  private Pair pair;
  private LoadProcess neighbour;
  private int slave;

  @BeforeEach
  void start() {
    pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(0));
    pair.createMemDisk("good", LoadOptions.BLOCK_COUNT);
    pair.createMemDisk("bad", 256);
    pair.createNvmeController("good", true, "good");
    pair.createNvmeController("bad", true, "bad");
    slave = pair.activePid();
    neighbour = pairs.load(pair, "good", LoadOptions.usual(pairs.seed()).onNvme());
  }

  @AfterEach
  void checkThatNothingElseWasTouched() {
    neighbour.awaitIos(1000);
    assertEquals(0, neighbour.finish().path("errors").asLong());
    assertEquals(slave, pair.activePid(), "the slave never died");
    // The controller itself serves whoever comes next.
    try (NvmeClient client =
        NvmeClient.connect(new NvmeClientConfig().socketPath(pair.nvmeSocket("bad")))) {
      assertEquals(256 * 4096, client.capacityBytes());
    }
  }

  private VfioUserClient connect() {
    return VfioUserClient.connect(pair.nvmeSocket("bad"), TIMEOUT_MS);
  }

  private void awaitNobodyConnected() {
    Waiting.until(
        "the front-end is shut out",
        RawFrontEnd.LIMIT,
        () ->
            pair.call("nvmf_subsystem_get_controllers", Json.of("nqn", Pair.nqn("bad"))).isEmpty());
  }

  @Test
  void shouldShutOutFrontEndsThatSendGarbage() {
    final Random random = pairs.random();
    for (int i = 0; i < 30; i++) {
      final byte[] garbage = new byte[1 + random.nextInt(40_000)];
      random.nextBytes(garbage);
      if (i % 2 == 0 && garbage.length >= 16) {
        // A length that can be: the slave sees it, too.
        LittleEndian.putInt(garbage, VfioUserMessage.SIZE_OFFSET, garbage.length);
      }
      try (RawFrontEnd raw = RawFrontEnd.connect(pair.nvmeSocket("bad"))) {
        raw.trySend(garbage, SEND_LIMIT);
      }
      awaitNobodyConnected();
    }
  }

  @Test
  void shouldGoOnAfterRefusingMessagesOneAfterTheOther() {
    try (VfioUserClient client = connect()) {
      client.negotiate();
      final Random random = pairs.random();
      for (int i = 0; i < 2000; i++) {
        final int payload = random.nextInt(64);
        final byte[] message = client.command(VfioUserCommand.REGION_READ, payload);
        // Not VERSION, and nothing that would stop the connection for good.
        LittleEndian.putShort(message, VfioUserMessage.COMMAND_OFFSET, 2 + random.nextInt(20));
        for (int at = 16; at < message.length; at++) {
          message[at] = (byte) (random.nextInt(3) == 0 ? random.nextInt() : 0);
        }
        client.send(message);
        assertTrue(VfioUserMessage.isReply(client.receive(message)));
      }
    }
    awaitNobodyConnected();
  }

  @Test
  void shouldShutOutAFrontEndThatDoesNotReadItsReplies() {
    try (VfioUserClient client = connect()) {
      client.negotiate();
      final byte[] read = client.command(VfioUserCommand.REGION_READ, RegionAccess.LENGTH);
      RegionAccess.put(read, 0, PciRegion.CONFIG, 4096);
      boolean sent = true;
      for (int i = 0; i < 20_000 && sent; i++) {
        try {
          client.send(read);
        } catch (final VfioUserClientException e) {
          sent = false;
        }
      }
      assertFalse(sent, "it was let go on");
    }
    awaitNobodyConnected();
  }

  @Test
  void shouldSurviveRegistersWrittenInAnyOrderAndWidth() {
    try (VfioUserClient client = connect()) {
      client.negotiate();
      final Random random = pairs.random();
      for (int i = 0; i < 2000; i++) {
        final int width = 1 << random.nextInt(4);
        final int offset =
            random.nextInt(8) == 0
                ? random.nextInt(0x4000 - width)
                : random.nextInt(ControllerRegisters.LENGTH);
        final long value = random.nextBoolean() ? random.nextLong() : random.nextInt(16);
        client.write(PciRegion.BAR0, offset, width, value);
        client.read(PciRegion.BAR0, random.nextInt(0x4000 - 8), 8);
      }
    }
    awaitNobodyConnected();
  }

  private static void enable(final VfioUserClient client) {
    client.write(PciRegion.BAR0, ControllerRegisters.AQA_OFFSET, 4, 31 << 16 | 31);
    client.write(PciRegion.BAR0, ControllerRegisters.ASQ_OFFSET, 8, 0x10_0000);
    client.write(PciRegion.BAR0, ControllerRegisters.ACQ_OFFSET, 8, 0x10_1000);
    client.write(PciRegion.BAR0, ControllerRegisters.CC_OFFSET, 4, 0x0046_0001);
  }

  private static void awaitStatus(final VfioUserClient client, final int mask, final int value) {
    Waiting.until(
        "CSTS is " + value,
        RawFrontEnd.LIMIT,
        () -> (client.read(PciRegion.BAR0, ControllerRegisters.CSTS_OFFSET, 4) & mask) == value);
  }

  /** Its controller is fatal until a reset; the connection, which is the device, stays. */
  @Test
  void shouldKeepTheConnectionOfAFrontEndThatCutsItsMemoryShort() {
    try (VfioUserClient client = connect()) {
      client.negotiate();
      client.write(
          PciRegion.CONFIG, PciCommand.OFFSET, 2, PciCommand.MEMORY_SPACE | PciCommand.BUS_MASTER);
      for (int round = 0; round < 3; round++) {
        final int memory = Memfd.create("cut", 0x1_0000);
        client.mapDma(memory, 0, 0x10_0000, 0x1_0000);
        enable(client);
        awaitStatus(client, 3, 1);
        Fds.truncate(memory, 0);
        client.write(PciRegion.BAR0, Doorbells.BASE_OFFSET, 4, 1);
        awaitStatus(client, 3, 3);
        client.unmapDma(0x10_0000, 0x1_0000);
        client.write(PciRegion.BAR0, ControllerRegisters.CC_OFFSET, 4, 0);
        awaitStatus(client, 3, 0);
        Fds.close(memory);
      }
    }
    awaitNobodyConnected();
  }

  @Test
  void shouldGoToFatalStatusWhenTheAdminQueueCannotBeReached() {
    try (VfioUserClient client = connect()) {
      client.negotiate();
      client.write(PciRegion.BAR0, ControllerRegisters.AQA_OFFSET, 4, 31 << 16 | 31);
      client.write(PciRegion.BAR0, ControllerRegisters.ASQ_OFFSET, 8, 0x10_0000);
      client.write(PciRegion.BAR0, ControllerRegisters.ACQ_OFFSET, 8, 0x20_0000);
      client.write(PciRegion.BAR0, ControllerRegisters.CC_OFFSET, 4, 0x0046_0001);
      Waiting.until(
          "CSTS.CFS is set",
          RawFrontEnd.LIMIT,
          () ->
              (client.read(PciRegion.BAR0, ControllerRegisters.CSTS_OFFSET, 4)
                      & ControllerRegisters.CSTS_CFS)
                  != 0);
      final VfioUserClientException refused =
          assertThrows(VfioUserClientException.class, () -> client.unmapDma(0x10_0000, 4096));
      assertEquals(Errno.ENOENT, refused.errno());
      // A reset makes it a controller again.
      client.write(PciRegion.BAR0, ControllerRegisters.CC_OFFSET, 4, 0);
      Waiting.until(
          "it is as new",
          RawFrontEnd.LIMIT,
          () -> client.read(PciRegion.BAR0, ControllerRegisters.CSTS_OFFSET, 4) == 0);
    }
    awaitNobodyConnected();
  }
}
