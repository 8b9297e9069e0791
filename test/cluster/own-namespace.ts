/**
 * A namespace of a scenario's own: an operator that watches nothing else, development stores, and MailServers. Several such
 * scenarios can share a cluster; each removes what it made, before and after. POSTFLEET_CLUSTER_KEEP leaves everything in
 * place after a scenario.
 */
import * as helm from './helm.ts';
import { Kubectl } from './kubectl.ts';
import { ignoreMissing, storesOf } from './postfleet-system.ts';
import { freeVolumes } from './volumes.ts';

/** The name of every MailServer that a scenario sends mail to. */
export const SERVER = 'mail';

export class OwnNamespace {
  readonly kubectl: Kubectl;

  constructor(name: string) {
    this.kubectl = new Kubectl(name);
  }

  /** Names of what is no namespace's, such as its ClusterRoles, begin with that of the release. */
  get #operator(): helm.Release {
    const { namespace } = this.kubectl;
    return { name: `${namespace}-operator`, namespace, chart: 'postfleet-operator', values: 'operator.yaml' };
  }

  /** `tree`: whose charts are meant; this one's unless given. */
  async installOperator(settings: readonly string[] = [], tree?: string): Promise<void> {
    const release = tree === undefined ? this.#operator : { ...this.#operator, tree };
    await helm.install(release, [`watchNamespaces={${this.kubectl.namespace}}`, ...settings]);
  }

  async installStores(): Promise<void> {
    await helm.install(storesOf(this.kubectl));
  }

  /** Operator and stores. */
  async install(): Promise<void> {
    await Promise.all([this.installOperator(), this.installStores()]);
  }

  /** Applies the MailServer "mail", with the development stores and the parameters of every scenario, and waits for Ready. */
  async serve({ mainCf, ...spec }: { readonly mainCf: Readonly<Record<string, string>> } & object): Promise<void> {
    const { namespace } = this.kubectl;
    const mailServer = {
      apiVersion: 'postfleet.dev/v1alpha1',
      kind: 'MailServer',
      metadata: { name: SERVER },
      spec: {
        mainCf: {
          myhostname: 'mail.example.test',
          mydomain: 'example.test',
          mydestination: '',
          mynetworks: '127.0.0.0/8',
          smtp_tls_security_level: 'none',
          ...mainCf,
        },
        replicas: 1,
        nats: {
          secretRef: { name: 'postfleet-nats', key: 'url' },
          monitorUrl: `http://postfleet-nats.${namespace}.svc.cluster.local:8222`,
        },
        postgres: { secretRef: { name: 'postfleet-postgres', key: 'uri' } },
        deletionPolicy: 'Retain',
        ...spec,
      },
    };
    await this.kubectl.run(['apply', '--server-side', '-f', '-'], JSON.stringify(mailServer));
    await this.kubectl.run(['wait', '--for=condition=Ready', `mailserver/${SERVER}`, '--timeout=300s']);
    await this.settled();
  }

  /** Waits until there is nothing left to roll out. */
  async settled(seconds = 300): Promise<void> {
    await this.kubectl.run([
      'wait',
      '--for=condition=Progressing=False',
      `mailserver/${SERVER}`,
      `--timeout=${seconds}s`,
    ]);
  }

  /** MailServers go first, while there is an operator who ends them. */
  async remove(): Promise<void> {
    const { kubectl } = this;
    const { namespace } = kubectl;
    await kubectl.run(['delete', 'mailservers', '--all', '--timeout=120s']).catch(ignoreMissing);
    await helm.uninstall(this.#operator);
    await kubectl.run(['delete', 'namespace', namespace, '--ignore-not-found', '--timeout=180s']);
    await freeVolumes();
  }

  async removeAfterwards(): Promise<void> {
    if (process.env.POSTFLEET_CLUSTER_KEEP === undefined) await this.remove();
  }
}

/** master.cf without the daemons that a relay of mail has no use for. */
export const ONLY_RELAYING = ['pickup', 'local', 'virtual', 'lmtp', 'discard', 'flush'].map((service) => ({
  service,
  type: 'unix',
  enabled: false,
}));
