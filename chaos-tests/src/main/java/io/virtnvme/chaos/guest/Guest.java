package io.virtnvme.chaos.guest;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;

/**
 * A running stock guest under QEMU. Commands go to an agent in it over virtio-serial, so they work
 * while its disks hang.
 *
 * <pre>{@code
 * try (Guest guest = Guest.builder(images, dir).disk(Disk.of(socket).queues(2).packed()).boot()) {
 *   final Running<FioResult> fio = guest.start(FioJob.mixedVerify("/dev/vda").build());
 *   // kill things
 *   assertEquals(0, fio.await(Duration.ofMinutes(2)).errors());
 *   assertEquals(List.of(), guest.complaints());
 * }
 * }</pre>
 */
public final class Guest implements AutoCloseable {
  private static final Duration CONTROL_TIMEOUT = Duration.ofSeconds(30);
  private static final long MIGRATION_BYTES_PER_SECOND = 8L << 30;
  private static final long POLL_INTERVAL_NS = TimeUnit.MILLISECONDS.toNanos(20);
  private static final Pattern COMPLAINT =
      Pattern.compile(
          "I/O error|is not a head|EXT4-fs error|EXT4-fs warning|Aborting journal|Remounting filesystem read-only"
              + "|blocked for more than|BUG:|Oops|WARNING: CPU|Kernel panic|virtio.*(?:fail|error)"
              // What it says about a reset that the test asked for is "resetting controller".
              + "|nvme.*(?:timeout|abort|reset controller|is down|not ready|fail|error|remov|disabl|unusual)");

  private final GuestBuilder config;
  private final List<GuestPort> ports = new ArrayList<>();
  private final Duration bootTime;
  private volatile Qemu qemu;
  private volatile boolean closing;
  private int generation;

  private Guest(final GuestBuilder config) {
    this.config = config;
    final long startNs = System.nanoTime();
    final long deadlineNs = startNs + config.bootTimeout().toNanos();
    qemu = Qemu.start(config, config.directory(), deadlineNs);
    try {
      for (final SocketChannel channel : qemu.portChannels()) {
        ports.add(new GuestPort(ports.size(), channel));
      }
      watch(qemu);
      awaitReady(deadlineNs);
    } catch (final RuntimeException e) {
      close();
      throw e;
    }
    bootTime = Duration.ofNanos(System.nanoTime() - startNs);
  }

  /**
   * Describes a guest.
   *
   * @param images what it boots from
   * @param directory where its sockets and logs go; at most 100 bytes long, made if it is missing.
   *     Logs stay there
   * @return a builder
   */
  public static GuestBuilder builder(final GuestImages images, final Path directory) {
    return new GuestBuilder(images, directory);
  }

  static Guest boot(final GuestBuilder config) {
    return new Guest(config);
  }

  /** From the start of QEMU to the first command taken. */
  public Duration bootTime() {
    return bootTime;
  }

  /** The process id of the QEMU that runs the guest now. */
  public long pid() {
    return qemu.process().pid();
  }

  /**
   * Runs a shell command in the guest and waits for it. When it is late it is killed.
   *
   * @param command any text for {@code sh}
   * @param timeout how long it may take
   * @return exit status and output
   */
  public CommandResult run(final String command, final Duration timeout) {
    final Running<CommandResult> running = start(command);
    try {
      return running.await(timeout);
    } catch (final GuestTimeoutException e) {
      running.cancel();
      throw e;
    }
  }

  /**
   * Starts a shell command in the guest.
   *
   * @param command any text for {@code sh}
   * @return its handle
   * @throws IllegalStateException when {@link GuestBuilder#commandsAtOnce} commands run already
   */
  public Running<CommandResult> start(final String command) {
    return new Running<>(this, submit(command), result -> result);
  }

  /**
   * Starts fio in the guest.
   *
   * @param fio what to do
   * @return its handle
   */
  public Running<FioResult> start(final FioJob fio) {
    return new Running<>(this, submit(fio.command()), FioResult::parse);
  }

  /** The guest's kernel log since boot. */
  public String dmesg() {
    return control("dmesg").orThrow();
  }

  /**
   * The lines of the kernel log that tell of a disk or kernel gone wrong; empty in a healthy guest.
   */
  public List<String> complaints() {
    return dmesg().lines().filter(line -> COMPLAINT.matcher(line).find()).toList();
  }

  /**
   * Whether a disk's driver and back-end agreed on a feature. QEMU drops what the back-end does not
   * offer without a word, so a test of packed rings asks for bit 34 first.
   *
   * @param device name in {@code /sys/block}, for example {@code vda}
   * @param bit number of the virtio feature
   * @return true when it was negotiated
   */
  public boolean hasFeature(final String device, final int bit) {
    return control("cat /sys/block/" + device + "/device/features").orThrow().charAt(bit) == '1';
  }

  /**
   * What the kernel wrote to the serial console: warnings and worse. Works without the agent and
   * after {@link #close()}.
   */
  public String console() {
    return qemu.console();
  }

  /** The end of what QEMU itself printed. */
  public String qemuLog() {
    return qemu.process().logTail();
  }

  /**
   * Runs a QMP command.
   *
   * @param json an object with {@code execute} and, if need be, {@code arguments}
   * @return what QEMU returned
   * @throws IllegalStateException when QEMU refuses; the message has its reason
   */
  public JsonNode qmp(final String json) {
    return qemu.execute(json, CONTROL_TIMEOUT);
  }

  /**
   * Waits for a QMP event, dropping all older ones.
   *
   * @param name for example {@code STOP}
   * @param timeout how long to wait
   * @return the event's data
   */
  public JsonNode awaitEvent(final String name, final Duration timeout) {
    return qemu.awaitEvent(name, timeout);
  }

  /**
   * Plugs a disk into a running guest and waits until the guest has a device for it.
   *
   * @param disk the disk
   * @param slot 0 to {@link GuestBuilder#hotPlugSlots} - 1
   * @return the device file in the guest
   */
  public String plug(final Disk disk, final int slot) {
    if (slot < 0 || slot >= config.hotPlugSlotCount()) {
      throw new IllegalArgumentException(
          "no such slot: slot=" + slot + " slots=" + config.hotPlugSlotCount());
    }
    final String before = control("ls /sys/block").orThrow();
    final ObjectNode chardev = Qmp.object().put("execute", "chardev-add");
    final ObjectNode chardevArguments =
        chardev.putObject("arguments").put("id", "plug" + slot + "-chr");
    final ObjectNode socket =
        chardevArguments.putObject("backend").put("type", "socket").putObject("data");
    socket.put("server", false).put("reconnect", disk.reconnectSeconds());
    socket
        .putObject("addr")
        .put("type", "unix")
        .putObject("data")
        .put("path", disk.socket().toString());
    qmp(chardev.toString());
    final ObjectNode device = Qmp.object().put("execute", "device_add");
    final ObjectNode arguments = device.putObject("arguments").put("driver", "vhost-user-blk-pci");
    arguments
        .put("id", "plug" + slot)
        .put("chardev", "plug" + slot + "-chr")
        .put("bus", "slot" + slot);
    disk.properties().forEach(arguments::put);
    qmp(device.toString());
    final String known = before.replace('\n', ' ');
    final String script =
        "for i in $(seq 1500); do for d in $(ls /sys/block); do case ' "
            + known
            + " ' in *\" $d \"*) ;; *) echo $d; exit;; esac; done; usleep 10000; done; exit 1";
    return "/dev/" + control(script).orThrow();
  }

  /**
   * Takes out what {@link #plug} put in and waits until the guest has let go of it.
   *
   * @param slot the slot
   */
  public void unplug(final int slot) {
    qmp("{\"execute\":\"device_del\",\"arguments\":{\"id\":\"plug" + slot + "\"}}");
    JsonNode deleted = awaitEvent("DEVICE_DELETED", CONTROL_TIMEOUT);
    while (!deleted.path("device").asText().equals("plug" + slot)) {
      deleted = awaitEvent("DEVICE_DELETED", CONTROL_TIMEOUT);
    }
    qmp("{\"execute\":\"chardev-remove\",\"arguments\":{\"id\":\"plug" + slot + "-chr\"}}");
  }

  /**
   * Moves the guest to a new QEMU on this host: stopped, copied, continued, about a second in all.
   * Commands in it go on and keep their handles; start none meanwhile.
   *
   * <p>The guest is stopped first because QEMU 7.2 under software emulation loses writes of the
   * guest's processors while it copies a running guest (1 in 3 of our runs panicked, with no disk
   * in use). So this proves that rings and requests in flight move, but not dirty logging.
   *
   * @param disks the disks as the new QEMU is to reach them, as many as the guest has; see {@link
   *     Disk#at}
   * @param timeout how long the move may take; when it fails the guest goes on where it is
   */
  public void migrate(final List<Disk> disks, final Duration timeout) {
    if (disks.size() != config.disks().size()) {
      throw new IllegalArgumentException(
          "a guest keeps its disks: before=" + config.disks().size() + " after=" + disks.size());
    }
    final long deadlineNs = System.nanoTime() + timeout.toNanos();
    final Path targetDirectory = config.directory().resolve("m" + ++generation);
    final Path socket = targetDirectory.resolve("in");
    final Qemu source = qemu;
    final Qemu target =
        Qemu.startIncoming(config.copyWithDisks(disks), targetDirectory, socket, deadlineNs);
    try {
      source.execute("{\"execute\":\"stop\"}", CONTROL_TIMEOUT);
      // QEMU's default of 128 MiB/s is meant for a network shared with others.
      source.execute(
          "{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"max-bandwidth\":"
              + MIGRATION_BYTES_PER_SECOND
              + "}}",
          CONTROL_TIMEOUT);
      source.execute(
          "{\"execute\":\"migrate\",\"arguments\":{\"uri\":" + Qmp.quote("unix:" + socket) + "}}",
          CONTROL_TIMEOUT);
      awaitMigration(source, target, deadlineNs);
    } catch (final RuntimeException e) {
      target.close();
      if (source.process().isAlive()) {
        source.execute("{\"execute\":\"cont\"}", CONTROL_TIMEOUT);
      }
      throw e;
    }
    for (int i = 0; i < ports.size(); i++) {
      ports.get(i).continueWith(target.portChannels().get(i));
    }
    qemu = target;
    watch(target);
    source.close();
    target.execute("{\"execute\":\"cont\"}", CONTROL_TIMEOUT);
  }

  /**
   * Presses the reset button: processors and devices start anew at once, whatever the disks have in
   * flight. Commands in the guest end with {@link GuestDiedException}.
   *
   * @param meanwhile runs while the firmware and the kernel start again
   */
  public void reset(final Runnable meanwhile) {
    restart(() -> qmp("{\"execute\":\"system_reset\"}"), meanwhile);
  }

  /**
   * Has the kernel start the machine anew: it lets go of its devices first. Nothing is written back
   * and no file system unmounted.
   *
   * @param meanwhile runs while the kernel goes down and comes up again
   */
  public void reboot(final Runnable meanwhile) {
    // In the background, so that the harness gets its answer before the kernel goes.
    restart(() -> control("(usleep 100000; reboot -f) >/dev/null 2>&1 &"), meanwhile);
  }

  private void restart(final Runnable how, final Runnable meanwhile) {
    qmp("{\"execute\":\"set-action\",\"arguments\":{\"reboot\":\"reset\"}}");
    how.run();
    final GuestDiedException end = new GuestDiedException("the guest was started anew");
    ports.forEach(port -> port.expectRestart(end));
    meanwhile.run();
    awaitReady(System.nanoTime() + config.bootTimeout().toNanos());
  }

  private void awaitReady(final long deadlineNs) {
    for (final GuestPort port : ports) {
      get(
          port.ready(),
          Duration.ofNanos(Math.max(1, deadlineNs - System.nanoTime())),
          "guest does not come up");
    }
  }

  /** Ends QEMU and leaves only logs behind. */
  @Override
  public void close() {
    closing = true;
    qemu.close();
    try {
      for (final GuestPort port : ports) {
        port.close();
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(
          "cannot close the ports of the guest in " + config.directory(), e);
    }
  }

  CommandResult await(final GuestPort.Job job, final Duration timeout) {
    try {
      return get(job.result(), timeout, "command still runs in the guest");
    } catch (final GuestTimeoutException e) {
      throw new GuestTimeoutException(
          e.getMessage() + "\n--- output so far:\n" + job.outputSoFar());
    }
  }

  void kill(final GuestPort.Job job) {
    if (!job.isDone()) {
      final int group = get(job.pid(), CONTROL_TIMEOUT, "command does not start in the guest");
      control("kill -9 -" + group);
    }
  }

  private GuestPort.Job submit(final String command) {
    synchronized (ports) {
      for (final GuestPort port : ports.subList(1, ports.size())) {
        if (port.isFree()) {
          return port.submit(command);
        }
      }
    }
    if (!qemu.process().isAlive()) {
      throw qemu.death();
    }
    throw new IllegalStateException(
        "too many commands at once: running="
            + (ports.size() - 1)
            + "; raise GuestBuilder.commandsAtOnce");
  }

  /**
   * The first port belongs to the harness, so that it can look into a guest whose other ports all
   * wait.
   */
  private synchronized CommandResult control(final String command) {
    return await(ports.get(0).submit(command), CONTROL_TIMEOUT);
  }

  private void awaitMigration(final Qemu source, final Qemu target, final long deadlineNs) {
    while (true) {
      final JsonNode state = source.execute("{\"execute\":\"query-migrate\"}", CONTROL_TIMEOUT);
      final String status = state.path("status").asText();
      if ("completed".equals(status)) {
        return;
      }
      if ("failed".equals(status)
          || "cancelled".equals(status)
          || System.nanoTime() - deadlineNs > 0) {
        throw new IllegalStateException(
            "migration did not complete: "
                + state
                + "\n--- source:\n"
                + source.process().logTail()
                + "\n--- target:\n"
                + target.process().logTail());
      }
      LockSupport.parkNanos(POLL_INTERVAL_NS);
    }
  }

  private void watch(final Qemu watched) {
    final CompletableFuture<Void> unused =
        watched.process().onExit().thenAccept(process -> onExit(watched));
  }

  /**
   * Tells all that wait for a guest that it is gone. The QEMU that a guest has left may end in
   * peace.
   */
  private void onExit(final Qemu ended) {
    if (closing) {
      failPorts(new GuestDiedException("the guest was closed"));
    } else if (qemu == ended) {
      failPorts(ended.death());
    }
  }

  private void failPorts(final GuestDiedException death) {
    ports.forEach(port -> port.fail(death));
  }

  private <T> T get(final CompletableFuture<T> future, final Duration timeout, final String what) {
    try {
      return future.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
    } catch (final TimeoutException e) {
      throw new GuestTimeoutException(
          what
              + ": timeoutMs="
              + timeout.toMillis()
              + " directory="
              + qemu.directory()
              + "\n--- QEMU said:\n"
              + qemu.process().logTail()
              + "\n--- console:\n"
              + qemu.consoleTail());
    } catch (final ExecutionException e) {
      if (e.getCause() instanceof GuestDiedException) {
        throw new GuestDiedException(e.getCause().getMessage());
      }
      throw new IllegalStateException(what, e.getCause());
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new GuestTimeoutException("interrupted: " + what);
    }
  }
}
