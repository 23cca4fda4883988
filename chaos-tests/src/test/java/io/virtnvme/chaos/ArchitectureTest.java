package io.virtnvme.chaos;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The directions between modules, and the few libraries that belong to one place each. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.virtnvme");

  /** Log lines, records, names of folders, an NVMe controller's timestamp, default clocks. */
  private static final Set<String> LABELLING =
      Set.of(
          "io.virtnvme.ipc.log.LineLogger",
          "io.virtnvme.ipc.segment.SegmentHeader",
          "io.virtnvme.slave.control.ControllerDevice",
          "io.virtnvme.master.Master",
          "io.virtnvme.master.MasterContext",
          "io.virtnvme.master.supervisor.HangEvidence",
          "io.virtnvme.master.supervisor.RecentEvents",
          "io.virtnvme.master.supervisor.RecoveryLog",
          "io.virtnvme.master.supervisor.Slaves",
          "io.virtnvme.tools.bench.BenchCommand",
          "io.virtnvme.tools.chaos.Campaign");

  @Test
  void shouldDependOnLowerModulesOnly() {
    layeredArchitecture()
        .consideringOnlyDependenciesInLayers()
        .layer("ipc")
        .definedBy("io.virtnvme.ipc..")
        .layer("journal")
        .definedBy("io.virtnvme.journal..")
        .layer("master")
        .definedBy("io.virtnvme.master..")
        .layer("slave")
        .definedBy("io.virtnvme.slave..")
        .layer("tools")
        .definedBy("io.virtnvme.tools..")
        .layer("chaos")
        .definedBy("io.virtnvme.chaos..")
        .whereLayer("ipc")
        .mayNotAccessAnyLayer()
        .whereLayer("journal")
        .mayOnlyAccessLayers("ipc")
        .whereLayer("master")
        .mayOnlyAccessLayers("ipc", "journal")
        .whereLayer("slave")
        .mayOnlyAccessLayers("ipc", "journal")
        .whereLayer("tools")
        .mayOnlyAccessLayers("ipc", "journal", "master", "slave")
        .whereLayer("chaos")
        .mayOnlyAccessLayers("ipc", "journal", "master", "slave", "tools")
        .check(CLASSES);
  }

  /** The root package is left out: its entry knows every command, and each command its helpers. */
  @Test
  void shouldKeepThePackagesOfToolsFreeOfCycles() {
    slices().matching("io.virtnvme.tools.(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  /** The library is a benchmark's client; the product loads none but the C library. */
  @Test
  void shouldMakeSystemCallsInOnePackage() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.virtnvme.ipc.sys")
        .and()
        .doNotHaveFullyQualifiedName("io.virtnvme.tools.bench.Blkio")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("com.sun.jna..")
        .check(CLASSES);
  }

  @Test
  void shouldTouchOffHeapMemoryThroughOneDoor() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.virtnvme.ipc.memory")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("org.agrona.UnsafeApi")
        .check(CLASSES);
  }

  @Test
  void shouldKeepChronicleAndJacksonOutOfSlaves() {
    noClasses()
        .that()
        .resideInAnyPackage("io.virtnvme.slave..", "io.virtnvme.ipc..", "io.virtnvme.journal..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("net.openhft..", "com.fasterxml.jackson..")
        .check(CLASSES);
  }

  @Test
  void shouldNeverMapGuestMemoryInTheMaster() {
    noClasses()
        .that()
        .resideInAPackage("io.virtnvme.master..")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("io.virtnvme.ipc.sys.Mapping")
        .check(CLASSES);
  }

  /**
   * A clock that is set must change no decision: time of day is asked for only where something is
   * labelled with it for people to read, and by registry and history, whose order survives jumps.
   */
  @Test
  void shouldAskForTheTimeOfDayOnlyToLabelWithIt() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.virtnvme.chaos..")
        .and(describe("do not label", type -> !LABELLING.contains(outermost(type))))
        .should()
        .accessTargetWhere(describe("tells the time of day", ArchitectureTest::isTimeOfDay))
        .check(CLASSES);
  }

  /** Calls and method references. */
  private static boolean isTimeOfDay(final JavaAccess<?> access) {
    final String owner = access.getTargetOwner().getName();
    final String member = access.getName();
    return switch (owner) {
      case "java.lang.System" -> member.equals("currentTimeMillis");
      case "java.util.Date" -> member.equals("<init>");
      case "java.util.Calendar" -> member.equals("getInstance");
      case "java.time.Clock" -> member.startsWith("system");
      default -> owner.startsWith("java.time.") && member.equals("now");
    };
  }

  private static String outermost(final JavaClass type) {
    final String name = type.getName();
    final int inner = name.indexOf('$');
    return inner < 0 ? name : name.substring(0, inner);
  }

  @Test
  void shouldKeepTheDataPathFreeOfLogging() {
    noClasses()
        .that()
        .resideInAnyPackage(
            "io.virtnvme.slave.virtqueue..", "io.virtnvme.slave.blk..", "io.virtnvme.journal..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.slf4j..")
        .check(CLASSES);
  }

  @Test
  void shouldLetOnlyTheSlaveUseTheJournalToWrite() {
    classes()
        .that()
        .haveNameMatching("io\\.virtnvme\\.journal\\.(Split|Packed)Inflight")
        .should()
        .onlyBeAccessed()
        .byAnyPackage("io.virtnvme.journal..", "io.virtnvme.slave..", "io.virtnvme.tools..")
        .check(CLASSES);
  }
}
