package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// kubernetesPrograms are the mains of Kubernetes' own commands and of etcd.
var kubernetesPrograms = map[string]func(){
	"etcd":           func() { etcdmain.Main(os.Args) },
	"kube-apiserver": func() { exit(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() {
		exit(controllers.NewControllerManagerCommand())
	},
	"kube-scheduler": func() { exit(scheduler.NewSchedulerCommand()) },
	"kube-proxy":     func() { exit(proxy.NewProxyCommand()) },
	"kubelet":        func() { exit(kubelet.NewKubeletCommand(context.Background())) },
	"kubectl": func() {
		if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
			// kubectl has its own way to say what went wrong, and its own exit status.
			cmdutil.CheckErr(err)
		}
	},
}

func exit(command *cobra.Command) { os.Exit(cli.Run(command)) }
