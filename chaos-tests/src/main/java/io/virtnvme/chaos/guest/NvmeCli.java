package io.virtnvme.chaos.guest;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;

/**
 * {@code nvme}, as an administrator in the guest types it, on the guest's first controller. Every
 * method throws {@link IllegalStateException} with what was printed when the command fails.
 */
public final class NvmeCli {
  private static final String CONTROLLER = "/dev/nvme0";
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final Guest guest;

  /** Commands run in this guest. */
  public NvmeCli(final Guest guest) {
    this.guest = guest;
  }

  /** The device file of a namespace, where the driver has numbered the only controller 0. */
  public static String device(final int namespace) {
    return CONTROLLER + "n" + namespace;
  }

  /** Fields as in Identify Controller (CNS 01h); {@code sn}, {@code nn} and so on. */
  public JsonNode idCtrl() {
    return json("id-ctrl " + CONTROLLER);
  }

  /** Fields as in Identify Namespace (CNS 00h); {@code nsze}, {@code flbas}, {@code lbafs}. */
  public JsonNode idNs(final int namespace) {
    return json("id-ns " + device(namespace));
  }

  /** All block devices of all controllers: an array of {@code DevicePath} and so on. */
  public JsonNode list() {
    return json("list").path("Devices");
  }

  /** The ids of the active namespaces, one a line, as {@code [ 0]:0x1}. */
  public String listNs() {
    return run("list-ns " + CONTROLLER);
  }

  /** SMART / health information. Counters are text. */
  public JsonNode smartLog() {
    return json("smart-log " + CONTROLLER);
  }

  /**
   * The newest entries of the error log: an array with {@code error_count}, {@code sqid}, {@code
   * status_field}, {@code lba}, {@code nsid}.
   */
  public JsonNode errorLog(final int entryCount) {
    return json("error-log " + CONTROLLER + " -e " + entryCount).path("errors");
  }

  /** The current value of a feature that belongs to the controller. */
  public long getFeature(final int feature) {
    final String text = run("get-feature " + CONTROLLER + " -f " + feature);
    final String mark = "Current value:";
    final int at = text.indexOf(mark);
    if (at < 0) {
      throw new IllegalStateException("no value of feature " + feature + " in: " + text);
    }
    return Long.decode("0x" + text.substring(at + mark.length()).strip().replaceFirst("^0x", ""));
  }

  /** Any command of nvme-cli, as it would be typed after {@code nvme}. */
  public String run(final String arguments) {
    return tried(arguments).orThrow();
  }

  /** Any command of nvme-cli that may fail. */
  public CommandResult tried(final String arguments) {
    return guest.run("nvme " + arguments, LIMIT);
  }

  private JsonNode json(final String arguments) {
    final String text = run(arguments + " -o json");
    try {
      return Qmp.parse(text);
    } catch (final JsonProcessingException e) {
      throw new IllegalStateException("nvme " + arguments + " gives no JSON: " + text, e);
    }
  }
}
