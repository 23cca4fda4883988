package io.virtnvme.chaos.guest;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Describes a guest; see {@link Guest#builder}. One builder makes one guest. */
public final class GuestBuilder {
  private static final int PORT_COUNT_MAX = 30;

  private final GuestImages images;
  private final Path directory;
  private final List<Disk> disks = new ArrayList<>();
  private final List<NvmeDisk> nvmeDisks = new ArrayList<>();
  private final List<String> extraArguments = new ArrayList<>();
  private String qemuProgram = "";
  private String kernelParameters = "";
  private int memoryMiB = 512;
  private boolean hugePages;
  private int cpuCount = 2;
  private int commandCountMax = 6;
  private int hotPlugSlotCount;
  private Duration bootTimeout = Duration.ofSeconds(90);

  GuestBuilder(final GuestImages images, final Path directory) {
    this.images = images;
    this.directory = directory;
  }

  /** Adds a disk: the first is {@code /dev/vda} in the guest. */
  public GuestBuilder disk(final Disk disk) {
    disks.add(disk);
    return this;
  }

  /** Adds an NVMe controller: the first is {@code /dev/nvme0} in the guest. */
  public GuestBuilder nvmeDisk(final NvmeDisk disk) {
    nvmeDisks.add(disk);
    return this;
  }

  /**
   * Guest memory in MiB, at least 256; default 512. It is a shared memfd, so a back-end can map it.
   */
  public GuestBuilder memory(final int mebibytes) {
    if (mebibytes < 256) {
      throw new IllegalArgumentException("guest memory too small: MiB=" + mebibytes + " min=256");
    }
    memoryMiB = mebibytes;
    return this;
  }

  /** Takes guest memory from the host's 2 MiB pages, which must have been reserved. */
  public GuestBuilder hugePages() {
    hugePages = true;
    return this;
  }

  /** Number of virtual processors, each a host thread; default 2. */
  public GuestBuilder cpus(final int count) {
    cpuCount = count;
    return this;
  }

  /** How many commands can run in the guest at once, 1 to 29; default 6. */
  public GuestBuilder commandsAtOnce(final int count) {
    if (count < 1 || count >= PORT_COUNT_MAX) {
      throw new IllegalArgumentException(
          "commands at once out of range: count=" + count + " max=29");
    }
    commandCountMax = count;
    return this;
  }

  /** Adds slots for {@link Guest#plug}; default none. */
  public GuestBuilder hotPlugSlots(final int count) {
    hotPlugSlotCount = count;
    return this;
  }

  /** More words for the kernel's command line. */
  public GuestBuilder kernelParameters(final String parameters) {
    kernelParameters = parameters;
    return this;
  }

  /** More arguments for QEMU, after all others. */
  public GuestBuilder arguments(final String... arguments) {
    extraArguments.addAll(List.of(arguments));
    return this;
  }

  /**
   * Another QEMU than the one in PATH, or than {@link GuestImages#newerQemu} for a guest with an
   * NVMe controller.
   */
  public GuestBuilder qemu(final String program) {
    qemuProgram = program;
    return this;
  }

  /**
   * How long {@link #boot()} waits at most; default 90 s, of which some 3 s are needed on a quiet
   * machine.
   */
  public GuestBuilder bootTimeout(final Duration timeout) {
    bootTimeout = timeout;
    return this;
  }

  /**
   * Starts QEMU and waits until the guest takes commands.
   *
   * @return the guest; close it
   * @throws GuestDiedException when QEMU ends, for example because a back-end does not listen
   * @throws GuestTimeoutException when the guest is not up in time
   */
  public Guest boot() {
    return Guest.boot(this);
  }

  Path directory() {
    return directory;
  }

  List<Disk> disks() {
    return disks;
  }

  Duration bootTimeout() {
    return bootTimeout;
  }

  int hotPlugSlotCount() {
    return hotPlugSlotCount;
  }

  /** One port per command and one for the harness itself. */
  int portCount() {
    return commandCountMax + 1;
  }

  /** The same guest with its disks served elsewhere. */
  GuestBuilder copyWithDisks(final List<Disk> otherDisks) {
    final GuestBuilder copy = new GuestBuilder(images, directory);
    copy.disks.addAll(otherDisks);
    copy.nvmeDisks.addAll(nvmeDisks);
    copy.extraArguments.addAll(extraArguments);
    copy.qemuProgram = qemuProgram;
    copy.kernelParameters = kernelParameters;
    copy.memoryMiB = memoryMiB;
    copy.hugePages = hugePages;
    copy.cpuCount = cpuCount;
    copy.commandCountMax = commandCountMax;
    copy.hotPlugSlotCount = hotPlugSlotCount;
    copy.bootTimeout = bootTimeout;
    return copy;
  }

  List<String> command(final Path runDirectory) {
    final List<String> line = new ArrayList<>();
    final String hugetlb = hugePages ? ",hugetlb=on,hugetlbsize=2M" : "";
    line.addAll(
        List.of(qemuOrUsual(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"));
    line.addAll(
        List.of("-M", "q35,memory-backend=mem", "-accel", "tcg,thread=multi", "-cpu", "max"));
    line.addAll(List.of("-smp", Integer.toString(cpuCount), "-m", memoryMiB + "M"));
    line.addAll(
        List.of(
            "-object", "memory-backend-memfd,id=mem,share=on,size=" + memoryMiB + "M" + hugetlb));
    line.addAll(
        List.of("-kernel", images.vmlinux().toString(), "-initrd", images.initramfs().toString()));
    line.addAll(List.of("-append", kernelCommandLine()));
    line.addAll(List.of("-serial", "file:" + Qemu.consoleLog(runDirectory)));
    line.addAll(
        List.of(
            "-chardev",
            server("qmp", Qemu.monitorSocket(runDirectory)),
            "-mon",
            "qmp,mode=control"));
    // Fixed places on the bus: disks keep their order and their slots whatever else is added.
    line.addAll(List.of("-device", "virtio-serial-pci,addr=0x1d,max_ports=" + (portCount() + 1)));
    for (int i = 0; i < portCount(); i++) {
      line.addAll(List.of("-chardev", server("port" + i, Qemu.portSocket(runDirectory, i))));
      line.addAll(
          List.of(
              "-device",
              "virtserialport,chardev=port" + i + ",nr=" + (i + 1) + ",name=virtnvme." + i));
    }
    for (int i = 0; i < hotPlugSlotCount; i++) {
      line.addAll(
          List.of(
              "-device",
              "pcie-root-port,id=slot"
                  + i
                  + ",chassis="
                  + (i + 1)
                  + ",addr=0x1c."
                  + i
                  + (i == 0 ? ",multifunction=on" : "")));
    }
    for (int i = 0; i < disks.size(); i++) {
      line.addAll(disks.get(i).arguments("disk" + i));
    }
    for (int i = 0; i < nvmeDisks.size(); i++) {
      line.addAll(nvmeDisks.get(i).arguments("nvme" + i));
    }
    line.addAll(extraArguments);
    return line;
  }

  private String qemuOrUsual() {
    if (!qemuProgram.isEmpty()) {
      return qemuProgram;
    }
    return nvmeDisks.isEmpty() ? "qemu-system-x86_64" : images.newerQemu().toString();
  }

  /**
   * Warnings go to the console as well; the ring of the kernel log is large enough for a long test;
   * a task that waits 30 s for its disk is reported. The self-tests of the kernel's ciphers would
   * take a third of the boot.
   */
  private String kernelCommandLine() {
    return "console=ttyS0 loglevel=5 log_buf_len=4M panic=-1 sysctl.kernel.hung_task_timeout_secs=30"
        + " cryptomgr.notests mitigations=off virtnvme.ports="
        + portCount()
        + " "
        + kernelParameters;
  }

  private static String server(final String id, final Path socket) {
    return "socket,id=" + id + ",path=" + socket + ",server=on,wait=off";
  }
}
